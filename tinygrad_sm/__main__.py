"""`python -m tinygrad_sm` is the command `tinygrad-sm`."""

if __name__ == "__main__":
    from tinygrad_sm.cli import main

    main()
