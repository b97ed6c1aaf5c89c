"""`python -m roomcast` is `roomcast`."""

from roomcast.cli import main

if __name__ == "__main__":
    main()
