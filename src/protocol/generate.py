#!/usr/bin/env python3
"""Turns the message descriptions in schema/ into C++.

  generate.py message SCHEMA OUT_DIR     writes OUT_DIR/<name>.h and .cc
  generate.py probe SCHEMA OUT_DIR       writes OUT_DIR/<name>_probe.cc (see probe.h)
  generate.py index OUT_DIR SCHEMA...    writes OUT_DIR/api.h and probes.cc

The form of a schema file is described in README.md. Only standard Python, run by the build.
"""
import os
import re
import sys
from dataclasses import dataclass, field

SCALARS = {"bool": "bool", "i8": "int8_t", "i16": "int16_t", "u16": "uint16_t", "i32": "int32_t",
           "u32": "uint32_t", "i64": "int64_t", "uuid": "Uuid"}
SCALAR_BYTES = {"bool": 1, "i8": 1, "i16": 2, "u16": 2, "i32": 4, "u32": 4, "i64": 8, "uuid": 16}
NEVER = 32767


# ---- reading ----

@dataclass
class Field:
    name: str
    type: str             # a scalar, str, bytes, rec, or the name of a struct
    array: bool
    versions: tuple       # (first, last), both inside
    nulls: tuple = None   # versions that may be null
    default: str = None
    tag: int = None
    ignorable: bool = False
    key: bool = False
    entity: str = None
    fields: list = field(default_factory=list)
    cpp: str = ""         # qualified C++ type of the struct

    @property
    def is_struct(self):
        return self.type[0].isupper()


@dataclass
class Message:
    name: str
    kind: str             # request, response or data
    versions: tuple
    flex: int
    fields: list
    api: int = None
    lenient: bool = False


@dataclass
class File:
    stem: str
    messages: list
    api: dict = None


def refuse(path, number, why):
    sys.exit(f"{path}:{number}: {why}")


def parse_range(text, parent):
    match = re.fullmatch(r"(\d+)(?:(\+)|-(\d+))?", text)
    if not match:
        raise ValueError(f"'{text}' is no version range")
    first = int(match[1])
    last = parent[1] if match[2] else int(match[3] or first)
    if not parent[0] <= first <= last <= parent[1]:
        raise ValueError(f"versions {text} are outside of {parent[0]}-{parent[1]}")
    return first, last


def parse_field(words, parent, entity_names=("topic", "group", "txn", "producer", "broker")):
    name, kind, *rest = words
    array = name.endswith("[]")
    match = re.fullmatch(r"(\w+)(\?(\S*))?", kind)
    if not match:
        raise ValueError(f"'{kind}' is no type")
    made = Field(name[:-2] if array else name, match[1], array, parent)
    if rest[:1] == ["="]:
        made.default = rest[1]
        rest = rest[2:]
    if rest and rest[0][0].isdigit():
        made.versions = parse_range(rest.pop(0), parent)
    if match[2]:
        made.nulls = parse_range(match[3], made.versions) if match[3] else made.versions
    while rest:
        word = rest.pop(0)
        if word == "tag":
            made.tag = int(rest.pop(0))
        elif word == "ign":
            made.ignorable = True
        elif word == "key":
            made.key = True
        elif word[0] == "@" and word[1:] in entity_names:
            made.entity = word[1:]
        else:
            raise ValueError(f"'{word}' is no word of a field")
    if made.type not in SCALARS and made.type not in ("str", "bytes", "rec") and not made.is_struct:
        raise ValueError(f"'{made.type}' is no type")
    return made


def parse_fields(lines, at, depth, parent, path):
    """Fields at `depth`; returns them and the index of the first line that is not theirs."""
    fields = []
    while at < len(lines):
        number, indent, words = lines[at]
        if indent < depth:
            break
        if indent > depth:
            refuse(path, number, "is indented deeper than a field may be here")
        try:
            made = parse_field(words, parent)
        except (ValueError, IndexError) as error:
            refuse(path, number, error)
        at += 1
        made.fields, at = parse_fields(lines, at, depth + 1, made.versions, path)
        if made.is_struct != bool(made.fields):
            refuse(path, number, "a struct has fields below it, and only a struct")
        fields.append(made)
    return fields, at


def split_head(words):
    first, last = words.pop(0).split("..")
    options = {}
    while words:
        word = words.pop(0)
        options[word] = words.pop(0) if word in ("flex", "advertise") else True
    flex = NEVER if options.pop("flex") == "never" else 0
    return (int(first), int(last)), flex, options


def parse_file(path):
    lines = []
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            text = line.split("#")[0].rstrip()
            if text:
                indent = len(text) - len(text.lstrip())
                lines.append((number, indent // 2, text.split()))
    result = File(os.path.splitext(os.path.basename(path))[0], [])
    at = 0
    while at < len(lines):
        number, _, words = lines[at]
        at += 1
        head = list(words)
        kind = head.pop(0)
        if kind not in ("api", "data"):
            refuse(path, number, "a file starts with 'api' or 'data'")
        api = int(head.pop(0)) if kind == "api" else None
        name = head.pop(0)
        flexible = head[head.index("flex") + 1]
        versions, flex, options = split_head(head)
        flex = flex or (int(flexible) if flexible != "never" else NEVER)
        if kind == "data":
            fields, at = parse_fields(lines, at, 1, versions, path)
            result.messages.append(Message(name, "data", versions, flex, fields,
                                           lenient="lenient" in options))
            continue
        result.api = {"key": api, "name": name, "min": versions[0], "max": versions[1],
                      "advertised": int(options.get("advertise", versions[0])), "flex": flex,
                      "served": "unserved" not in options}
        for word, suffix in (("req", "Request"), ("resp", "Response")):
            if at >= len(lines) or lines[at][2] != [word]:
                refuse(path, number, f"'{word}' is missing")
            fields, at = parse_fields(lines, at + 1, 1, versions, path)
            result.messages.append(Message(name + suffix, suffix.lower(), versions, flex, fields,
                                           api))
    return result


# ---- C++ pieces ----

def snake(name):
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def element_type(f, message):
    views = message.kind == "request"
    if f.is_struct or f.type in SCALARS:
        return SCALARS.get(f.type, f.type)
    return {"str": "std::string_view" if views else "std::string",
            "bytes": "Bytes" if views else "std::string",
            "rec": "Bytes" if views else "std::vector<Slice>"}[f.type]


def holds_null(f, message):
    """Record sets of responses have no null: Kafka's clients take it for damage."""
    return f.nulls is not None and not (f.type == "rec" and message.kind != "request")


def field_type(f, message):
    kind = element_type(f, message)
    if f.array:
        kind = f"std::vector<{kind}>"
    return f"std::optional<{kind}>" if holds_null(f, message) else kind


def initial(f, message):
    """The initializer of the member, or nothing when the type's own is the default."""
    if f.default == "null":
        return ""
    if holds_null(f, message):
        return "{std::in_place}"
    if f.array or f.is_struct or f.type in ("str", "bytes", "rec", "uuid"):
        return ""
    value = f.default or ("false" if f.type == "bool" else "0")
    return " = " + ("INT32_MIN" if value == "-2147483648" else value)


def is_default(f, message):
    x = f"x.{f.name}"
    if f.default == "null":
        return f"!{x}"
    if holds_null(f, message):
        return f"{x} && {x}->empty()"
    if f.array or f.type in ("str", "bytes", "rec"):
        return f"{x}.empty()"
    if f.is_struct:
        return f"{x} == {f.cpp}{{}}"
    if f.type == "uuid":
        return f"{x}.is_zero()"
    if f.type == "bool":
        return x if f.default == "true" else f"!{x}"
    return f"{x} == {'INT32_MIN' if f.default == '-2147483648' else f.default or '0'}"


def version_test(versions, parent):
    """A C++ condition on v for being in `versions`, given that it is in `parent`; None if always."""
    first, last = versions
    if versions == parent:
        return None
    if first == last:
        return f"v == {first}"
    if first == parent[0]:
        return f"v <= {last}"
    if last == parent[1]:
        return f"v >= {first}"
    return f"v >= {first} && v <= {last}"


def least_bytes(fields, version, flex):
    total = 1 if version >= flex else 0  # the tag buffer
    for f in fields:
        if not f.versions[0] <= version <= f.versions[1] or f.tag is not None:
            continue
        compact = version >= flex
        if f.array or f.type in ("bytes", "rec"):
            total += 1 if compact else 4
        elif f.type == "str":
            total += 1 if compact else 2
        elif f.is_struct:
            total += 1 if f.nulls else least_bytes(f.fields, version, flex)
        else:
            total += SCALAR_BYTES[f.type]
    return total


def least_expression(f, message):
    """Least bytes of one element of the array f, over the versions that have it."""
    def least(version):
        if f.is_struct:
            return least_bytes(f.fields, version, message.flex)
        single = Field(f.name, f.type, False, message.versions)
        return least_bytes([single], version, NEVER if f.type in SCALARS else message.flex) - (
            1 if f.type not in SCALARS and version >= message.flex else 0)
    versions = range(f.versions[0], f.versions[1] + 1)
    flexible = [least(v) for v in versions if v >= message.flex]
    fixed = [least(v) for v in versions if v < message.flex]
    if not flexible or not fixed or min(flexible) == min(fixed):
        return str(max(1, min(flexible + fixed)))
    return f"flex ? {max(1, min(flexible))} : {max(1, min(fixed))}"


def qualify(fields, prefix):
    for f in fields:
        if f.is_struct:
            f.cpp = f"{prefix}::{f.type}"
            qualify(f.fields, f.cpp)


def structs_of(fields):
    """Structs of a field list, innermost first."""
    for f in fields:
        if f.is_struct:
            yield from structs_of(f.fields)
            yield f


# ---- header ----

def declare_struct(name, fields, message, indent, extra=()):
    pad = "  " * indent
    lines = [f"{pad}struct {name} {{"]
    for f in fields:
        if f.is_struct:
            lines += declare_struct(f.type, f.fields, message, indent + 1)
    for f in fields:
        note = ""
        if f.versions != message.versions:
            first, last = f.versions
            note = f"  // {first}+" if last == message.versions[1] else f"  // {first}-{last}"
        lines.append(f"{pad}  {field_type(f, message)} {f.name}{initial(f, message)};{note}")
    if fields:
        lines.append("")
    lines += [f"{pad}  {line}" if line else "" for line in extra]
    lines += [f"{pad}  bool operator==(const {name}&) const;", f"{pad}}};"]
    return lines


def decode_face(message):
    if message.kind != "request":
        return [f"static Result<{message.name}> decode(int16_t version, Cursor in);"]
    return ["// Ignores what follows the message, as Kafka does; `left_over` is told how many bytes.",
            f"static Result<{message.name}> decode(int16_t version, Cursor in, size_t* left_over = nullptr);"]


def header(file):
    lines = ["// Generated from the schema of the same name: do not edit.", "#pragma once", "",
             "#include <cstdint>", "#include <optional>", "#include <string>",
             "#include <string_view>", "#include <vector>", "",
             '#include "base/result.h"', '#include "protocol/cursor.h"',
             '#include "protocol/output.h"', "", "namespace paceline::protocol {", ""]
    for message in file.messages:
        extra = [f'static constexpr const char* kName = "{message.name}";']
        if message.api is not None:
            extra.append(f"static constexpr int16_t kApiKey = {message.api};")
        extra += [f"static constexpr int16_t kVersionMin = {message.versions[0]};",
                  f"static constexpr int16_t kVersionMax = {message.versions[1]};",
                  f"static constexpr int16_t kFlexibleMin = {message.flex};", "",
                  *decode_face(message),
                  "Result<void> encode(int16_t version, Output& out) const;",
                  "size_t size(int16_t version) const;"]
        if message.kind == "data":
            extra += ["// The same behind the version as a 16-bit number.",
                      f"static Result<{message.name}> decode_versioned(Bytes bytes);",
                      "Result<std::string> encode_versioned(int16_t version) const;"]
        lines += declare_struct(message.name, message.fields, message, 0, extra) + [""]
    lines.append("}  // namespace paceline::protocol")
    return "\n".join(lines) + "\n"


# ---- codec ----

def write_value(f, message, pad):
    """Statements that write x.f, which is present in this version."""
    x = f"x.{f.name}"
    lines = []
    inner = pad
    null_put = "put_null_text" if f.type == "str" and not f.array else "put_null"
    if holds_null(f, message):
        test = version_test(f.nulls, f.versions)
        put = "out.num(int8_t{-1});" if f.is_struct and not f.array else f"{null_put}(out, flex);"
        lines.append(f"{pad}if (!{x}) {{")
        if test:
            lines.append(f'{pad}  if (!({test})) out.refuse("a null {f.name}");')
        lines += [f"{pad}  {put}", f"{pad}}} else {{"]
        inner = pad + "  "
        x = "*" + x
    flat = x if not x.startswith("*") else f"({x})"
    if f.array:
        lines += [f"{inner}put_count(out, flex, {flat}.size());",
                  f"{inner}for (const auto& one : {x}) {write_one(f, 'one', message)}"]
    else:
        if f.is_struct and holds_null(f, message):
            lines.append(f"{inner}out.num(int8_t{{1}});")
        lines.append(inner + write_one(f, x, message))
    if holds_null(f, message):
        lines.append(f"{pad}}}")
    return lines


def write_one(f, x, message):
    if f.is_struct:
        return f"write(out, v, {x});"
    return {"str": f"put_text(out, flex, {x});", "bytes": f"put_blob(out, flex, {x});",
            "rec": (f"put_blob(out, flex, {x});" if message.kind == "request"
                    else f"put_records(out, flex, {x});"),
            "uuid": f"put_uuid(out, {x});", "bool": f"put_bool(out, {x});"}.get(
                f.type, f"out.num({x});")


def write_function(cpp, fields, versions, message):
    lines = ["template <class Sink>",
             f"void write([[maybe_unused]] Sink& out, [[maybe_unused]] int16_t v, "
             f"[[maybe_unused]] const {cpp}& x) {{",
             f"  [[maybe_unused]] const bool flex = {flex_test(message)};"]
    for f in fields:
        test = version_test(f.versions, versions)
        if f.tag is None:
            if test:
                lines.append(f"  if ({test}) {{")
                lines += write_value(f, message, "    ")
                lines.append("  }")
            else:
                lines += write_value(f, message, "  ")
        if test and not f.ignorable:
            lines.append(f'  if (!({test}) && !({is_default(f, message)})) '
                         f'out.refuse("a {f.name}");')
    if message.flex <= versions[1]:
        tagged = sorted((f for f in fields if f.tag is not None), key=lambda f: f.tag)
        lines.append("  if (flex) {")
        if tagged:
            lines.append("    size_t tags = 0;")
            for f in tagged:
                lines.append(f"    const bool has_{f.name} = {tag_test(f, versions, message)};")
                lines.append(f"    tags += has_{f.name};")
            lines.append("    out.uvarint(tags);")
            for f in tagged:
                lines += [f"    if (has_{f.name}) {{",
                          f"      const auto put = [&](auto& out) {{"]
                lines += write_value(f, message, "        ")
                lines += ["      };", "      Sizer size;", "      put(size);",
                          f"      out.uvarint({f.tag});", "      out.uvarint(size.size());",
                          "      put(out);",
                          "      if (size.refused()) out.refuse(size.refused());", "    }"]
        else:
            lines.append("    out.uvarint(0);")
        lines.append("  }")
    lines += ["}", ""]
    return lines


def tag_test(f, versions, message):
    test = version_test(f.versions, versions)
    # A tag exists only in flexible versions, which `flex` has already asked for.
    flexible = (max(versions[0], message.flex), versions[1])
    if f.versions == flexible:
        test = None
    return f"!({is_default(f, message)})" + (f" && {test}" if test else "")


def flex_test(message):
    if message.flex <= message.versions[0]:
        return "true"
    if message.flex > message.versions[1]:
        return "false"
    return f"v >= {message.flex}"


def read_value(f, message, cursor):
    x = f"x.{f.name}"
    null_test = version_test(f.nulls, f.versions) if f.nulls else None
    if f.array:
        read = {"str": f"{cursor}.text(flex, one);"}.get(
            f.type, f"read({cursor}, v, one);" if f.is_struct else f"{cursor}.read(one);")
        lines = [f"{cursor}.list(flex, {least_expression(f, message)}, {x}, "
                 f"[&](auto& one) {{ {read} }});"]
    elif f.is_struct and f.nulls:
        # Not emplace(): inside its own class clang does not yet know a nested struct's defaults.
        return [f"{x}.reset();", f"if ({cursor}.present()) {{", f"  {x} = {f.cpp}{{}};",
                f"  read({cursor}, v, *{x});", "}"]
    elif f.is_struct:
        return [f"read({cursor}, v, {x});"]
    elif f.type == "str":
        lines = [f"{cursor}.text(flex, {x});"]
    elif f.type == "bytes" or (f.type == "rec" and message.kind == "request"):
        lines = [f"{cursor}.blob(flex, {x});"]
    elif f.type == "rec":
        lines = [f"{cursor}.records(flex, {x});"]
    else:
        lines = [f"{cursor}.read({x});"]
    if null_test and holds_null(f, message):
        lines.append(f'if (!{x} && !({null_test})) {cursor}.refuse("has a null {f.name}");')
    return lines


def read_function(cpp, fields, versions, message):
    lines = [f"void read([[maybe_unused]] Cursor& in, [[maybe_unused]] int16_t v, "
             f"[[maybe_unused]] {cpp}& x) {{",
             f"  [[maybe_unused]] const bool flex = {flex_test(message)};"]
    for f in fields:
        if f.tag is not None:
            continue
        test = version_test(f.versions, versions)
        body = read_value(f, message, "in")
        if test:
            lines.append(f"  if ({test}) {{")
            lines += ["    " + line for line in body] + ["  }"]
        else:
            lines += ["  " + line for line in body]
    if message.flex <= versions[1]:
        tagged = [f for f in fields if f.tag is not None]
        if not tagged:
            lines.append("  if (flex) in.skip_tags();")
        else:
            lines += ["  if (flex) {",
                      "    for (Tags tags(in); Cursor* field = tags.next();) {",
                      "      switch (tags.tag()) {"]
            for f in sorted(tagged, key=lambda f: f.tag):
                flexible = (max(versions[0], message.flex), versions[1])
                test = None if f.versions == flexible else version_test(f.versions, versions)
                lines.append(f"        case {f.tag}:")
                if test:
                    lines.append(f"          if (!({test})) break;")
                lines += ["          " + line for line in read_value(f, message, "field->")]
                lines += ["          tags.close();", "          break;"]
            lines += ["        default:", "          break;", "      }", "    }", "  }"]
    lines += ["}", ""]
    return [line.replace("field->.", "field->").replace("read(field->,", "read(*field,")
            for line in lines]


def equality(cpp, fields, message):
    parts = []
    for f in fields:
        by_content = f.type == "rec" or (f.type == "bytes" and message.kind == "request")
        parts.append(f"same({f.name}, other.{f.name})" if by_content
                     else f"{f.name} == other.{f.name}")
    body = " &&\n         ".join(parts) or "true"
    return [f"bool {cpp}::operator==([[maybe_unused]] const {cpp.split('::')[-1]}& other) const {{",
            f"  return {body};", "}", ""]


LEFTOVER = '  if (in.ok() && !in.done()) in.refuse("has bytes left over");\n'

TOLD = "  if (left_over) *left_over = in.remaining();\n"

ENTRY = """Result<NAME> NAME::decode(int16_t version, Cursor inWHERE) {
  if (version < kVersionMin || version > kVersionMax) return bad_version(kName, version);
  NAME message;
  read(in, version, message);
LEFTOVER  if (!in.ok()) return bad_bytes(kName, version, in.why());
  return message;
}

Result<void> NAME::encode(int16_t version, Output& out) const {
  Sizer sizer;
  write(sizer, version, *this);
  TRY_VOID(begin_message(kName, version, kVersionMin, kVersionMax, sizer, out));
  Writer writer(out);
  write(writer, version, *this);
  return {};
}

size_t NAME::size(int16_t version) const {
  Sizer sizer;
  write(sizer, version, *this);
  return sizer.size();
}
"""

VERSIONED = """
Result<NAME> NAME::decode_versioned(Bytes bytes) {
  Cursor in(bytes);
  const auto version = in.num<int16_t>();
  if (!in.ok()) return bad_bytes(kName, 0, in.why());
BODY}

Result<std::string> NAME::encode_versioned(int16_t version) const {
  Output out;
  out.put(version);
  TRY_VOID(encode(version, out));
  return join(out.take());
}
"""

STRICT = """  return decode(version, std::move(in));
"""

# The consumer protocol promises that newer versions only append: read them as the newest we know.
LENIENT = """  const int16_t known = std::min(version, kVersionMax);
  if (known < kVersionMin) return bad_version(kName, version);
  NAME message;
  read(in, known, message);
  if (!in.ok()) return bad_bytes(kName, version, in.why());
  return message;
"""


def source(file):
    lines = ["// Generated from the schema of the same name: do not edit.",
             f'#include "protocol/gen/{file.stem}.h"', "", "#include <algorithm>", "",
             '#include "protocol/sink.h"', "", "namespace paceline::protocol {"]
    for message in file.messages:
        all_structs = [(f.cpp, f.fields, f.versions) for f in structs_of(message.fields)]
        all_structs.append((message.name, message.fields, message.versions))
        lines += ["namespace {", ""]
        for cpp, fields, versions in all_structs:
            lines += write_function(cpp, fields, versions, message)
        for cpp, fields, versions in all_structs:
            lines += read_function(cpp, fields, versions, message)
        lines += ["}  // namespace", ""]
        for cpp, fields, versions in all_structs:
            lines += equality(cpp, fields, message)
        # Kafka ignores what follows a request, and librdkafka 2.15 sends three bytes too many
        # after a MetadataRequest for no topics.
        request = message.kind == "request"
        lines.append(ENTRY.replace("LEFTOVER", TOLD if request else LEFTOVER)
                     .replace("WHERE", ", size_t* left_over" if request else "")
                     .replace("NAME", message.name))
        if message.kind == "data":
            body = LENIENT if message.lenient else STRICT
            lines.append(VERSIONED.replace("BODY", body).replace("NAME", message.name))
    lines.append("}  // namespace paceline::protocol")
    return "\n".join(lines) + "\n"


# ---- probes: see probe.h ----

def probe_function(name):
    return f"{snake(name)}_probe"


def probe(file):
    lines = ["// Generated from the schema of the same name: do not edit.",
             f'#include "protocol/gen/{file.stem}.h"', '#include "protocol/probe_visit.h"', "",
             "namespace paceline::protocol {"]
    for message in file.messages:
        all_structs = [(f.cpp, f.fields, f.versions) for f in structs_of(message.fields)]
        all_structs.append((message.name, message.fields, message.versions))
        for cpp, fields, versions in all_structs:
            lines += ["template <class Visitor>",
                      f"void each([[maybe_unused]] Visitor& visit, [[maybe_unused]] int16_t v, "
                      f"[[maybe_unused]] {cpp}& x) {{"]
            for f in fields:
                test = version_test(f.versions, versions)
                null = "false"
                if f.nulls:
                    null = version_test(f.nulls, f.versions) or "true"
                lines.append("  " + (f"if ({test}) " if test else "") +
                             f'visit.field("{f.name}", {null}, x.{f.name});')
            lines += ["}", ""]
        lines += [f"Probe {probe_function(message.name)}();",
                  f"Probe {probe_function(message.name)}() {{",
                  f"  return make_probe<{message.name}>(Kind::{message.kind}, "
                  f"{-1 if message.api is None else message.api});", "}"]
    lines += ["", "}  // namespace paceline::protocol"]
    return "\n".join(lines) + "\n"


def probe_list(files):
    names = [probe_function(message.name) for file in files for message in file.messages]
    lines = ["// Generated from all schemas: do not edit.", '#include "protocol/probe.h"', "",
             "namespace paceline::protocol {", ""]
    lines += [f"Probe {name}();" for name in names]
    lines += ["", "std::vector<Probe> probes() {", "  return {"]
    lines += [f"      {name}()," for name in names]
    lines += ["  };", "}", "", "}  // namespace paceline::protocol"]
    return "\n".join(lines) + "\n"


# ---- index ----

def index_header(files):
    apis = sorted((f.api for f in files if f.api), key=lambda api: api["key"])
    lines = ["// Generated from all schemas: do not edit.", "#pragma once", "",
             "#include <array>", "#include <cstdint>", "#include <string_view>", "",
             "namespace paceline::protocol {", "", "enum class ApiKey : int16_t {"]
    lines += [f"  {snake(api['name'])} = {api['key']}," for api in apis]
    lines += ["};", "",
              "// One API as its schema has it. Versions are inclusive.",
              "struct Api {",
              "  ApiKey key;",
              "  std::string_view name;",
              "  int16_t version_min;         // decoded and encoded",
              "  int16_t version_max;",
              "  int16_t version_advertised;  // the lowest that ApiVersions tells of; may be below",
              "                               // version_min where clients look for an old version",
              "  int16_t flexible_min;        // 32767: never",
              "  bool served;                 // false: described here, not offered to clients",
              "};", "",
              f"inline constexpr std::array<Api, {len(apis)}> kApis = {{{{"]
    for api in apis:
        lines.append(f"    {{ApiKey::{snake(api['name'])}, \"{api['name']}\", {api['min']}, "
                     f"{api['max']}, {api['advertised']}, {api['flex']}, "
                     f"{'true' if api['served'] else 'false'}}},")
    lines += ["}};", "",
              "// Null if the key is none of ours.",
              "constexpr const Api* find_api(int16_t key) {",
              "  for (const Api& api : kApis) {",
              "    if (static_cast<int16_t>(api.key) == key) return &api;", "  }",
              "  return nullptr;", "}", "", "}  // namespace paceline::protocol"]
    return "\n".join(lines) + "\n"


# ---- entry ----

def write_if_changed(path, text):
    """An unchanged file keeps its time, so that nothing that includes it is built again."""
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            if file.read() == text:
                return
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def load(path):
    file = parse_file(path)
    for message in file.messages:
        qualify(message.fields, message.name)
    return file


def main(args):
    if args[:1] == ["message"] and len(args) == 3:
        file = load(args[1])
        write_if_changed(os.path.join(args[2], file.stem + ".h"), header(file))
        write_if_changed(os.path.join(args[2], file.stem + ".cc"), source(file))
    elif args[:1] == ["probe"] and len(args) == 3:
        file = load(args[1])
        write_if_changed(os.path.join(args[2], file.stem + "_probe.cc"), probe(file))
    elif args[:1] == ["index"] and len(args) > 2:
        files = [load(path) for path in args[2:]]
        write_if_changed(os.path.join(args[1], "api.h"), index_header(files))
        write_if_changed(os.path.join(args[1], "probes.cc"), probe_list(files))
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
