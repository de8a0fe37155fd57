"""Makes docs/crds.md from crds/*.yaml: every field of Causeway's own kinds, its meaning and its limits.

With --check it writes nothing. It fails if a field of a schema has no description or no type, if a keyword is unknown,
or if the page differs from the CRDs.
"""

import argparse
import difflib
import pathlib
import re
import sys
import textwrap

import yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "crds.md"
OWN_GROUP = "causeway.dev"
COLUMNS = 120

# All keywords that our schemas use. The API server only warns of others and drops them.
KEYWORDS = {
    "type", "format", "description", "default", "required", "properties", "items", "additionalProperties", "enum",
    "pattern", "minimum", "maximum", "minLength", "maxLength", "maxItems", "x-kubernetes-validations",
    "x-kubernetes-list-type", "x-kubernetes-list-map-keys", "x-kubernetes-map-type", "x-kubernetes-int-or-string",
}

HEAD = """\
# Custom resources

`docs/crds.py` makes this page from the CRDs in `crds/`, and a test compares them. To change a text, change the CRD and
run `python3 docs/crds.py`. `kubectl explain` shows the same texts.

A field is optional unless it is *required*; a required field must be there whenever the object around it is. `[]`
stands for each item of a list.
"""


def load():
    """The CRDs, Causeway's own first."""
    crds = [yaml.safe_load(path.read_text()) for path in sorted((ROOT / "crds").glob("*.yaml"))]
    return sorted(crds, key=lambda crd: crd["spec"]["group"] != OWN_GROUP)


def own(crds):
    return [crd for crd in crds if crd["spec"]["group"] == OWN_GROUP]


def schemas(crd):
    return [version["schema"]["openAPIV3Schema"] for version in crd["spec"]["versions"]]


def faults(schema, path, in_list=False):
    """The faults of a schema, one sentence each."""
    for keyword in schema.keys() - KEYWORDS:
        yield f'{path}: unknown keyword "{keyword}"'
    if "type" not in schema and "x-kubernetes-int-or-string" not in schema:
        yield f"{path}: no type"
    # The description of a list covers its items.
    if not in_list and not schema.get("description", "").strip():
        yield f"{path}: no description"
    for name, field in schema.get("properties", {}).items():
        yield from faults(field, f"{path}.{name}")
    if "items" in schema:
        yield from faults(schema["items"], path + "[]", in_list=True)
    if "additionalProperties" in schema:
        yield from faults(schema["additionalProperties"], path + "{}", in_list=True)


def prose(text):
    """Plain text as Markdown: paths of our own pages become links, other special characters stand for themselves."""
    parts = re.split(r"(`[^`]*`)", text)
    for i in range(0, len(parts), 2):
        part = re.sub(r"([*_<|\\])", r"\\\1", parts[i])
        parts[i] = re.sub(r"\bdocs/([\w/.-]+\.md)", r"[\1](\1)", part)
    return "".join(parts)


def wrapped(text, first, rest):
    return textwrap.fill(text, COLUMNS, initial_indent=first, subsequent_indent=rest, break_long_words=False,
                         break_on_hyphens=False)


def type_name(schema, plural=False):
    s = "s" if plural else ""
    if "x-kubernetes-int-or-string" in schema:
        return f"integer{s} or string{s}"
    kind = schema["type"]
    if kind == "array":
        return f"list{s} of {type_name(schema['items'], plural=True)}"
    if "additionalProperties" in schema:
        return f"map{s} of {type_name(schema['additionalProperties'], plural=True)}"
    if schema.get("format") == "date-time":
        return f"time{s} (RFC 3339)"
    return f"{kind}{s} ({schema['format']})" if "format" in schema else kind + s


def between(low, high, unit):
    if low is None and high is None:
        return []
    if low is None or (low == 0 and unit):
        return [f"at most {high:,}{unit}"]
    return [f"at least {low:,}{unit}" if high is None else f"{low:,} to {high:,}{unit}"]


def limits(schema):
    """The limits of a value, besides its type."""
    out = between(schema.get("minimum"), schema.get("maximum"), "")
    out += between(schema.get("minLength"), schema.get("maxLength"), " characters")
    out += between(None, schema.get("maxItems"), " items")
    if "enum" in schema:
        out.append("one of " + ", ".join(f"`{value}`" if value else "the empty text" for value in schema["enum"]))
    if "pattern" in schema:
        out.append(f"pattern `{schema['pattern']}`")
    if "x-kubernetes-list-map-keys" in schema:
        out.append("no two with the same " + " and ".join(f"`{k}`" for k in schema["x-kubernetes-list-map-keys"]))
    if schema.get("x-kubernetes-map-type") == "atomic":
        out.append("written as a whole")
    if "default" in schema:
        out.append(f"default `{schema['default']}`")
    return out


def rules(schema):
    return [prose(rule["message"]) for rule in schema.get("x-kubernetes-validations", [])]


def sentence(start, parts):
    return f"{start}: {'; '.join(parts)}." if parts else ""


def field_lines(path, schema, required):
    facts = [type_name(schema)] + (["required"] if required else []) + limits(schema)
    item = schema.get("items", schema.get("additionalProperties", {}))
    each = limits(item) if "properties" not in item else []
    text, *points = schema["description"].splitlines()
    yield wrapped(f"**`{path}`**: {', '.join(facts)}." + (f" Each: {', '.join(each)}." if each else ""), "* ", "  ")
    for line in (prose(text), sentence("Checked", rules(schema)), sentence("Checked for each", rules(item))):
        if line:
            yield wrapped(line, "  ", "  ")
    for point in points:
        yield wrapped(re.sub(r"^(\w+):", r"`\1`:", prose(point)), "  * ", "    ")


def fields(schema, path=""):
    """The fields below a schema, each before its own fields. The items of conditions are in a part of their
    own, once."""
    for name, field in schema.get("properties", {}).items():
        at = f"{path}.{name}" if path else name
        yield from field_lines(at, field, name in schema.get("required", []))
        if name != "conditions":
            yield from fields(field, at)
    if "items" in schema:
        yield from fields(schema["items"], path + "[]")


def kind_part(crd):
    spec, names, version = crd["spec"], crd["spec"]["names"], crd["spec"]["versions"][0]
    schema = version["schema"]["openAPIV3Schema"]
    yield f"## {names['kind']}\n"
    scope = "cluster-scoped" if spec["scope"] == "Cluster" else "namespaced"
    yield wrapped(f"`{spec['group']}/{version['name']}`, {scope}. `kubectl get {names['plural']}.{spec['group']}`, or "
                  f"`kubectl get {names['shortNames'][0]}`.", "", "") + "\n"
    yield wrapped(" ".join(filter(None, [prose(schema["description"]), sentence("Checked", rules(schema))])), "", "")
    yield ""
    yield from fields(schema)
    yield ""


def conditions_part(crds):
    """The fields of a condition. They are the same in all kinds."""
    kinds, items = [], []
    for crd in own(crds):
        status = schemas(crd)[0]["properties"].get("status", {})
        if "conditions" in status.get("properties", {}):
            kinds.append(crd["spec"]["names"]["kind"])
            items.append(status["properties"]["conditions"]["items"])
    if any(item != items[0] for item in items):
        sys.exit(f"crds: the items of status.conditions differ between {', '.join(kinds)}")
    yield "## Conditions\n"
    yield wrapped(f"The items of `status.conditions` of {', '.join(kinds)}.", "", "") + "\n"
    yield from fields(items[0], "status.conditions[]")
    yield ""


def upstream_part(crds):
    yield "## Kinds of other projects\n"
    yield wrapped("Causeway also uses these kinds. Their CRDs are in `crds/`, too. The projects that define them "
                  "document the fields.", "", "") + "\n"
    for crd in crds:
        spec, versions = crd["spec"], crd["spec"]["versions"]
        if spec["group"] == OWN_GROUP:
            continue
        served = " and ".join(f"`{version['name']}`" + (" (stored)" if version["storage"] else "")
                              for version in versions if version["served"])
        link = crd["metadata"]["annotations"]["api-approved.kubernetes.io"]
        yield wrapped(f"**{spec['names']['kind']}**, `{crd['metadata']['name']}`, {served}: <{link}>", "* ", "  ")


def page(crds):
    parts = [HEAD]
    for crd in own(crds):
        parts += kind_part(crd)
    parts += conditions_part(crds)
    parts += upstream_part(crds)
    return "\n".join(parts) + "\n"


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--check", action="store_true", help="write nothing, fail if something is wrong")
    check = options.parse_args().check
    crds = load()
    wrong = [fault for crd in own(crds) for schema in schemas(crd)
             for fault in faults(schema, crd["spec"]["names"]["kind"])]
    if wrong:
        sys.exit("crds/*.yaml:\n" + "\n".join(wrong))
    text = page(crds)
    if not check:
        PAGE.write_text(text)
        return
    before = PAGE.read_text() if PAGE.exists() else ""
    if before != text:
        sys.stdout.writelines(difflib.unified_diff(before.splitlines(True), text.splitlines(True), "docs/crds.md",
                                                   "what the CRDs give"))
        sys.exit("docs/crds.md is not what the CRDs give: run python3 docs/crds.py")


if __name__ == "__main__":
    main()
