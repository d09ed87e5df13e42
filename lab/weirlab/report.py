"""The report."""


def page(results):
    return '<!doctype html>'
