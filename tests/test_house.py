"""The house: what importing costs, which names are public and documented, and that no module takes the name of a function."""

import ast
import builtins
import doctest
import importlib
import inspect
import json
import pkgutil
import subprocess
import sys
import types
from pathlib import Path

import pytest

import tinygrad_sm as tg
from tinygrad_sm import family, ops
from tinygrad_sm.graph import Op

PACKAGE = Path(tg.__file__).parent
MODULES = ["tinygrad_sm", *(m.name for m in pkgutil.walk_packages([str(PACKAGE)], "tinygrad_sm."))]

# --- importing


def run(code: str) -> str:
    """What a fresh interpreter prints."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_importing_loads_the_standard_library_alone_and_not_the_slow_parts_of_it():
    loaded = json.loads(
        run(
            "import sys; before = {*sys.modules}; import tinygrad_sm, json\n"
            "print(json.dumps([m for m in sys.modules if m not in before]))"
        )
    )
    roots = {name.partition(".")[0] for name in loaded} - {"tinygrad_sm"}
    assert roots <= sys.stdlib_module_names
    slow = "argparse ast asyncio concurrent copy ctypes dataclasses difflib fractions html http inspect logging pathlib pickle"
    slow += " pprint shutil socket statistics subprocess tempfile textwrap threading tokenize traceback unittest urllib"
    assert not roots & {*slow.split()}


def test_help_works_all_the_same():
    assert "softmax" in run("import tinygrad_sm as tg; help(tg.softmax)")
    assert str(inspect.signature(tg.softmax)).startswith("(z, *, axis=-1")


def test_a_star_import_leaves_the_builtins_alone():
    names = run("before = {*dir(__builtins__)}\nfrom tinygrad_sm import *\nprint(*(before & {*globals()}))").split()
    assert {*names} <= {"__name__", "__doc__", "__package__", "__loader__", "__spec__", "__build_class__", "__debug__"}
    assert not {*tg.__all__} & {*dir(builtins)}
    for name in ("sum", "abs", "max", "min", "pow"):
        assert isinstance(getattr(tg, name), Op)


# --- public names

PUBLIC = """
Value LabelError AxisError nd fused primitive composed fused_ops no_grad constant
grad value_and_grad vjp jvp jacobian hessian hvp
abs sign exp expm1 log log1p sqrt sin cos tanh erf relu leaky_relu elu gelu square maximum minimum where clip pow equal
sigmoid log_sigmoid softplus silu softmax log_softmax logsumexp softmin causal_softmax cross_entropy binary_cross_entropy
nll_loss focal_loss binary_focal_loss z_loss mse_loss hinge_loss attention linear_cross_entropy
sparsemax entmax15 sparsemax_loss entmax15_loss online_softmax OnlineSoftmax
kl_div reverse_kl_div kl_div_probabilities entropy gumbel_softmax
sum mean max min prod var std norm sort argsort cumulative_sum
reshape flatten permute_dims matrix_transpose broadcast_to expand_dims squeeze concat stack split flip tril
matmul linear dot outer einsum take take_along_axis one_hot argmax
zeros ones full arange rand randn manual_seed __version__
compare gradcheck Comparison Report testing
nn optim datasets fit predict accuracy History draw player viz
""".split()

OF_PACKAGES = {
    "nn": "Module Linear MLP Sequential Embedding LayerNorm RMSNorm Dropout MultiHeadAttention ReLU Tanh Sigmoid GELU Softmax "
    "LogSoftmax CrossEntropyLoss save load LayerError SafetensorsError",
    "optim": "SGD Adam AdamW RMSprop Optimizer LambdaLR StepLR MultiStepLR ExponentialLR LinearLR CosineAnnealingLR "
    "SequentialLR ReduceLROnPlateau clip_grad_norm clip_grad_value",
    "testing": "assert_gradients GradientError logits logit_rows masked_logits margins tails ties hard_logits labels "
    "probabilities",
    "viz": "draw Drawing player Player plots",
    "datasets": "load_digits load_iris make_blobs make_moons make_spirals train_test_split",
}

OF_MODULE = """
parameters named_parameters modules named_modules state_dict load_state_dict train eval training zero_grad to forward __call__
""".split()

OF_VALUE = """
data grad has_grad shape ndim size dtype name op inputs requires_grad T mT backward zero_grad detach item tolist
__float__ __format__ __len__ __iter__ __bool__ __abs__ __neg__ __pos__ __getitem__ __matmul__ __rmatmul__ __pow__ __rpow__
__lt__ __le__ __gt__ __ge__ __eq__ __hash__
""".split()

METHODS = """
abs sign exp expm1 log log1p sqrt sin cos tanh erf sigmoid log_sigmoid softplus relu leaky_relu elu gelu silu square clip
sum mean max min prod var std norm sort argsort cumulative_sum argmax
reshape flatten permute_dims matrix_transpose broadcast_to expand_dims squeeze split flip tril matmul dot outer
take take_along_axis softmax log_softmax logsumexp
""".split()


def test_the_public_names_exist():
    assert [name for name in PUBLIC if not hasattr(tg, name)] == []
    assert [name for name in OF_VALUE + METHODS if not hasattr(tg.Value, name)] == []
    assert [name for name in OF_MODULE if not hasattr(tg.nn.Module, name)] == []
    for package, names in OF_PACKAGES.items():
        assert [name for name in names.split() if not hasattr(getattr(tg, package), name)] == []
    assert {*tg.__all__} >= {*PUBLIC} - {*dir(builtins)} - {"__version__"}
    assert {*tg.fused_ops} >= {"softmax", "log_softmax", "logsumexp", "cross_entropy", "sigmoid"}


def test_nothing_private_or_borrowed_is_public():
    for name in tg.__all__:
        module = getattr(getattr(tg, name), "__module__", "tinygrad_sm")
        assert not name.startswith("_") and module.startswith("tinygrad_sm"), name


def public(module: types.ModuleType) -> list:
    """The classes and functions that a module defines itself."""
    own = [x for n, x in vars(module).items() if not n.startswith("_") and getattr(x, "__module__", "") == module.__name__]
    return [x for x in own if isinstance(x, (type, types.FunctionType, Op))]


@pytest.mark.parametrize("name", MODULES)
def test_everything_public_is_documented(name):
    module = importlib.import_module(name)
    assert module.__doc__
    for thing in public(module):
        assert thing.__doc__, thing
        if isinstance(thing, type):
            for key, member in vars(thing).items():
                if isinstance(member, (types.FunctionType, property)) and not key.startswith("_"):
                    assert member.__doc__, f"{thing}.{key}"


# Where an example says more than the formula does.
EXAMPLES = """
Value nd primitive fused composed no_grad constant grad value_and_grad vjp jvp jacobian hessian hvp softmax log_softmax
logsumexp softmin causal_softmax cross_entropy binary_cross_entropy nll_loss focal_loss binary_focal_loss z_loss mse_loss
hinge_loss sigmoid softplus silu equal one_hot einsum rand attention linear_cross_entropy
sparsemax entmax15 sparsemax_loss entmax15_loss online_softmax OnlineSoftmax
kl_div reverse_kl_div kl_div_probabilities entropy gumbel_softmax
compare gradcheck fit predict accuracy draw player
""".split()


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_core_has_examples(name):
    assert ">>> " in getattr(tg, name).__doc__


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.heavy if ".viz.plots." in name else ()) for name in MODULES]
)  # plots need matplotlib
def test_the_examples_in_the_docstrings_run(name):
    module = importlib.import_module(name)
    runner = doctest.DocTestRunner()
    examples = doctest.DocTestFinder().find(module)
    for example in examples:
        runner.run(example)
    assert runner.summarize(verbose=False).failed == 0
    seen = {example.name.rpartition(".")[2] for example in examples}
    assert seen >= {op.name for op in public(module) if isinstance(op, Op)}  # which are no functions


# --- one name, one thing


def test_no_module_is_named_like_a_public_function():
    taken = {name for name in tg.__all__ + PUBLIC if not isinstance(getattr(tg, name), types.ModuleType)}
    assert {name.rpartition(".")[2] for name in MODULES} & taken == set()


def test_the_declarations_of_value_for_type_checkers_agree_with_what_is_there():
    tree = ast.parse((PACKAGE / "graph" / "value.py").read_text(encoding="utf-8"))
    cls = next(x for x in tree.body if isinstance(x, ast.ClassDef) and x.name == "Value")
    block = next(x for x in cls.body if isinstance(x, ast.If) and ast.unparse(x.test) == "TYPE_CHECKING")
    functions = {x.name: x for x in block.body if isinstance(x, ast.FunctionDef)}
    attributes = {x.target.id for x in block.body if isinstance(x, ast.AnnAssign)}
    arithmetic = "add sub mul truediv pow matmul".split()
    dunders = {f"__{prefix}{name}__" for name in arithmetic for prefix in ("", "r")}
    dunders |= {"__neg__", "__pos__", "__abs__", "__getitem__"}
    assert {*functions} == dunders | {*ops.METHODS} | {*family.METHODS} and attributes == {"T", "mT"}
    assert all(hasattr(tg.Value, name) for name in {*functions} | attributes)
    # no operator or method is put there besides
    written = {x.name for x in cls.body if isinstance(x, ast.FunctionDef)}
    there = {name for name, x in vars(tg.Value).items() if callable(x) and name not in vars(object)}
    assert there - written == {*functions} - {"__hash__"}


@pytest.mark.parametrize("name", sorted(ops.METHODS | family.METHODS))
def test_a_declared_method_takes_the_arguments_of_its_op(name):
    tree = ast.parse((PACKAGE / "graph" / "value.py").read_text(encoding="utf-8"))
    declared = next(x for x in ast.walk(tree) if isinstance(x, ast.FunctionDef) and x.name == name and x.name not in OF_VALUE)
    arguments = declared.args
    given = [a.arg for a in [*arguments.args[1:], *arguments.kwonlyargs]]
    op = (ops.METHODS | family.METHODS)[name]
    if isinstance(op, Op):
        required, optional = op.input_names[1 : op._required], op.input_names[max(op._required, 1) :]
        wanted = [*required, *op.setting_names, *optional]
        wanted = ["other" if x == "b" else x for x in wanted]
        assert given == wanted
        defaults = {**dict(zip(reversed(given), reversed(arguments.defaults + arguments.kw_defaults)))}  # noqa: B905
        for key, default in op._settings.items():
            assert ast.literal_eval(defaults[key]) == default
