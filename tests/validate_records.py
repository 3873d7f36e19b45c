#!/usr/bin/python3
"""Validates records (NDJSON) against the schemas of share/schemas, strictly: a key that no schema names is an error here,
though readers of records skip what they do not know.

A file whose name ends in .toml is held against the schema that is named (config, sandbox-config).

usage: tests/validate_records.py [--schemas DIR] [--schema NAME] [FILE]...     (standard input without a FILE)
"""
import argparse
import copy
import functools
import json
import pathlib
import sys
import tomllib
import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import jsonschema

SCHEMAS = pathlib.Path(__file__).resolve().parent.parent / "share" / "schemas"
SUFFIX = ".schema.json"


# Keywords whose schemas speak of the same value, not of a part of it.
IN_PLACE = {"allOf", "anyOf", "oneOf", "if", "then", "else", "not"}


def lists_properties(schema):
    """True when this schema, or one in place with it, names the keys of an object."""
    if isinstance(schema, list):
        return any(map(lists_properties, schema))
    return isinstance(schema, dict) and ("properties" in schema or
                                         any(lists_properties(schema[key]) for key in IN_PLACE & set(schema)))


def closed(schema, in_place=False):
    """The same schema with every object that lists its properties closed."""
    if isinstance(schema, list):
        return [closed(part, in_place) for part in schema]
    if not isinstance(schema, dict):
        return schema
    result = {key: {name: closed(part) for name, part in value.items()} if key in ("properties", "$defs")
              else closed(value, key in IN_PLACE) for key, value in schema.items()}
    if not in_place and lists_properties(schema) and "additionalProperties" not in schema:
        result["unevaluatedProperties"] = False
    return result


class Validator:
    """Validates single records; `problems` returns a list of sentences, empty for a sound record."""

    def __init__(self, directory=SCHEMAS):
        self.store = {}
        for path in sorted(pathlib.Path(directory).glob("*" + SUFFIX)):
            schema = json.loads(path.read_text(encoding="utf-8"))
            jsonschema.Draft202012Validator.check_schema(schema)
            self.store[path.name] = schema

    @functools.lru_cache(maxsize=None)
    def validator(self, name):
        schema = self._inlined(name)
        return jsonschema.Draft202012Validator(closed(schema), format_checker=jsonschema.FormatChecker())

    def _inlined(self, name):
        """References to other files are put in place, so that closing objects sees all their properties."""
        def resolve(node, document):
            if isinstance(node, list):
                return [resolve(part, document) for part in node]
            if not isinstance(node, dict):
                return node
            if "$ref" in node:
                file, _, pointer = node["$ref"].partition("#")
                target = self.store[file] if file else document
                base = target
                for part in [p for p in pointer.split("/") if p]:
                    target = target[part]
                merged = resolve(copy.deepcopy(target), base)
                rest = {k: resolve(v, document) for k, v in node.items() if k != "$ref"}
                merged = {k: v for k, v in merged.items() if k not in ("$id", "$schema", "$defs")}
                if "properties" in rest and "properties" in merged:
                    rest["properties"] = {**merged["properties"], **rest["properties"]}
                    rest["required"] = sorted({*merged.get("required", []), *rest.get("required", [])})
                merged.update(rest)
                return merged
            return {key: resolve(value, document) for key, value in node.items() if key != "$defs"}
        schema = self.store[name]
        return resolve(schema, schema)

    def problems(self, record, schema=None):
        """`schema` names one for lines that have no type, such as those of the sandbox's transcript."""
        if schema is None and (not isinstance(record, dict) or not isinstance(record.get("type"), str)):
            return ["not an object with a type"]
        name = (schema or record["type"]) + SUFFIX
        if name not in self.store:
            return [f"there is no {name}"]
        return [f"{'/'.join(str(p) for p in error.absolute_path) or 'record'}: {error.message}"
                for error in self.validator(name).iter_errors(record)]

    def problems_of_line(self, line, schema=None):
        try:
            record = json.loads(line)
        except ValueError as error:
            return [f"not JSON: {error}"]
        return self.problems(record, schema)


def main():
    parser = argparse.ArgumentParser(description="Validates NDJSON records against share/schemas, strictly.")
    parser.add_argument("--schemas", default=SCHEMAS, type=pathlib.Path)
    parser.add_argument("--schema", help="for lines without a type, e.g. transcript")
    parser.add_argument("files", nargs="*", metavar="FILE")
    arguments = parser.parse_args()
    validator = Validator(arguments.schemas)
    count = faults = 0
    for name in arguments.files or ["-"]:
        if name.endswith(".toml"):
            count += 1
            for problem in validator.problems(tomllib.loads(pathlib.Path(name).read_text(encoding="utf-8")),
                                              arguments.schema):
                faults += 1
                print(f"{name}: {problem}")
            continue
        stream = sys.stdin.buffer if name == "-" else open(name, "rb")
        with stream:
            for number, line in enumerate(stream, 1):
                count += 1
                try:
                    problems = validator.problems_of_line(line.decode("utf-8"), arguments.schema)
                except UnicodeDecodeError as error:
                    problems = [str(error)]
                for problem in problems:
                    faults += 1
                    print(f"{name}:{number}: {problem}")
    print(f"{count} records, {faults} faults", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
