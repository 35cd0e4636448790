"""Reads generated files with Python's own configparser and says what it makes of each.

Standard input: a JSON list of files, each in base64. Standard output: a JSON list of
{"sections": [[section, [[setting, value or null where reading it raises], ...]], ...]} or
{"refused": name of the exception, "line": line or null}.
"""
import base64
import configparser
import io
import json
import sys


def decode(data):
    """What a file opened as text gives: UTF-8, universal newlines."""
    return io.TextIOWrapper(io.BytesIO(data), encoding="utf-8").read()


def parse(text):
    parser = configparser.ConfigParser()
    parser.read_file(io.StringIO(text), source="conf")
    return parser


def parsing_error_before(text, line):
    """configparser keeps a parsing error for the end, so that a later error of another kind hides it."""
    try:
        parse("\n".join(text.split("\n")[: line - 1]))
    except configparser.ParsingError as error:
        return error
    return None


def first_line(error):
    return error.errors[0][0]


def read(data):
    try:
        text = decode(data)
        parser = parse(text)
    except UnicodeDecodeError as error:
        return {"refused": type(error).__name__, "line": None}
    except (configparser.DuplicateSectionError, configparser.DuplicateOptionError,
            configparser.MissingSectionHeaderError) as error:
        earlier = parsing_error_before(text, error.lineno)
        if earlier is not None:
            return {"refused": "ParsingError", "line": first_line(earlier)}
        return {"refused": type(error).__name__, "line": error.lineno}
    except configparser.ParsingError as error:
        return {"refused": type(error).__name__, "line": first_line(error)}
    sections = []
    for section in parser.sections():
        settings = []
        for setting in parser.options(section):
            try:
                settings.append([setting, parser.get(section, setting)])
            except configparser.InterpolationError:
                settings.append([setting, None])
        # What one asks for in practice: all of a section at once. It must agree with the single values.
        try:
            assert dict(parser.items(section)) == dict(settings)
        except configparser.InterpolationError:
            assert any(value is None for _, value in settings)
        sections.append([section, settings])
    return {"sections": sections}


json.dump([read(base64.b64decode(data)) for data in json.load(sys.stdin)], sys.stdout)
