"""`python -m skytrail`, which the demo uses to start its roles."""

from skytrail.cli.main import main

if __name__ == "__main__":
    main()
