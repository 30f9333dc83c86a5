"""The tests: a package, because Ciw, which the tests use, installs one of this name beside them."""
