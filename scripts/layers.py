#!/usr/bin/env python3
"""Who may use whom, folder by folder and file by file.

    scripts/layers.py           checks, and says what is wrong
    scripts/layers.py --print   prints what the folders use now, in the form of the picture
    scripts/layers.py --uses    prints which file uses which, and by what name

The rule for folders is the picture of the layers in docs/architecture.md, the block marked
`layers`: a folder a line, then those that it uses. It stands above all of them. A line that says more
than is true is as wrong as one that says less.

A file uses another when it includes it, or names a function or a variable that is defined there. No
file may use itself by way of others. There headers don't count, but for what their inline functions
name.
"""

import pathlib
import re
import subprocess
import sys

PAGE = pathlib.Path("docs/architecture.md")
# What is linked together.
LIBRARY = ["profiler", "proto", "text", "answers", "http", "service"]
PROGRAMS = [LIBRARY, ["preload"], ["cli"]]

COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", re.S)
ATTRIBUTE = re.compile(r"__attribute__\(\((?:[^()]|\([^()]*\))*\)\)\s*")
WORD = re.compile(r"[A-Za-z_]\w*")
# What clang-format leaves at the start of a line: a definition, its parameters on more lines or not.
FUNCTION = re.compile(
    r"^(?!static|typedef|extern|#)[A-Za-z_](?:(?!\n\n)[^;{}=])*?\b(\w+)\((?:(?!\n\n)[^;{}])*\)\n\{",
    re.M)
INLINE = re.compile(r"^(?:static )[^;{}]*?\b(\w+)\([^;{}]*\)\n\{\n(.*?)^\}", re.M | re.S)
MACRO = re.compile(r"^#define (\w+)\(((?:[^\n]*\\\n)*[^\n]*)", re.M)
VARIABLE = re.compile(
    r"^(?!static|typedef|extern|return|enum \w* ?\{|#|struct \w+;)[A-Za-z_][\w *()]*?\b(\w+)"
    r"(?:\[[^\]]*\])* ?(?:= ?[^;]*)?;", re.M)
OWN = re.compile(r"^static [^;{}=]*?\b(\w+)(?:\(| =|;|\[)", re.M)
DECLARED = re.compile(r"\b(\w+)\(|^extern [^;]*?\b(\w+)(?:\[[^;]*)? ?;", re.M)


def tracked(*patterns):
    listed = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard",
                             *patterns], check=True, capture_output=True, text=True)
    return [name for name in listed.stdout.split() if pathlib.Path(name).exists()]


def folder_of(name):
    # Each architecture's folder is a part of arch/.
    return re.sub(r"^(profiler/arch)/.*", r"\1", name.rsplit("/", 1)[0])


def bare(text):
    """Without comments, what stands in strings, and attributes."""
    return ATTRIBUTE.sub("", COMMENT.sub(lambda match: '""' if match[0][0] in "\"'" else " ", text))


def folder_uses(names):
    """By (folder, folder) a place where the first uses the second."""
    found = {}
    for name, used in uses(names).items():
        for other, word in used.items():
            if folder_of(name) != folder_of(other):
                found[folder_of(name), folder_of(other)] = f"{name}: {word}"
    for name in names:
        text = pathlib.Path(name).read_text()
        for number, line in enumerate(text.splitlines(), 1):
            match = re.match(r'#include "([^"]+)"', line)
            if not match:
                continue
            here, there = folder_of(name), folder_of(match[1])
            if here != there:
                found[here, there] = f"{name}:{number}"
    return found


def picture():
    """The picture's lines: folder and what it uses, from the top down."""
    block = re.search(r"^```layers\n(.*?)^```", PAGE.read_text(), re.M | re.S)
    if not block:
        sys.exit(f"layers: {PAGE} has no block marked ```layers")
    lines = [line.split() for line in block[1].splitlines() if line.strip()]
    return [(line[0], line[1:]) for line in lines]


def check_folders(names, complain):
    drawn = picture()
    order = [folder for folder, _ in drawn]
    allowed = {(folder, each) for folder, used in drawn for each in used}
    for folder, each in sorted(allowed):
        if each not in order:
            complain(f"{PAGE}: {folder} uses {each}, which has no line of its own")
        elif order.index(each) <= order.index(folder):
            complain(f"{PAGE}: {folder} uses {each}, which stands above it")
    found = folder_uses(names)
    for pair, where in sorted(found.items()):
        if pair not in allowed:
            complain(f"{where}: {pair[0]} uses {pair[1]}: {PAGE} does not have that")
    for pair in sorted(allowed - set(found)):
        complain(f"{PAGE}: says that {pair[0]} uses {pair[1]}, which it does not")


def uses(names):
    """For each file those that it uses, with one name by which it does."""
    texts = {name: bare(pathlib.Path(name).read_text()) for name in names}
    defined = {}
    inline = {}
    # A name that no header has is nobody else's: a wrapper of the C library's function, for one.
    declared = {word for name, text in texts.items() if name.endswith(".h")
                for match in DECLARED.finditer(text) for word in match.groups()}
    for name, text in texts.items():
        if name.endswith(".h"):
            for match in list(INLINE.finditer(text)) + list(MACRO.finditer(text)):
                inline[match[1]] = set(WORD.findall(match[2]))
            continue
        for pattern in (FUNCTION, VARIABLE):
            for match in pattern.finditer(text):
                if match[1] in declared:
                    defined[match[1]] = name

    def reached(words):
        todo, done = list(words), set()
        while todo:
            word = todo.pop()
            if word not in done:
                done.add(word)
                todo.extend(inline.get(word, ()))
        return done

    result = {}
    for name, text in texts.items():
        if not name.endswith(".c"):
            continue
        own = {match[1] for match in OWN.finditer(text)}
        result[name] = {defined[word]: word for word in reached(WORD.findall(text)) - own
                        if defined.get(word, name) != name}
    return result


def a_circle(graph):
    """One circle as [(file, name it uses of the next)], or None. Its files leave the graph."""
    state = {}

    def walk(at, path):
        state[at] = "open"
        path.append(at)
        for to in sorted(graph.get(at, ())):
            if state.get(to) == "open":
                round_trip = path[path.index(to):]
                return [(each, graph[each][following]) for each, following
                        in zip(round_trip, round_trip[1:] + [to])]
            if to not in state:
                found = walk(to, path)
                if found:
                    return found
        path.pop()
        state[at] = "done"
        return None

    for start in sorted(graph):
        if start not in state:
            found = walk(start, [])
            if found:
                return found
    return None


def check_files(names, complain):
    graph = uses(names)
    sys.setrecursionlimit(len(graph) + 1000)
    while True:
        circle = a_circle(graph)
        if not circle:
            return
        steps = " -> ".join(f"{name} ({word})" for name, word in circle)
        complain(f"files in a circle: {steps} -> {circle[0][0]}")
        del graph[circle[0][0]][circle[1 % len(circle)][0]]


def draw(names):
    found = {}
    for here, there in folder_uses(names):
        found.setdefault(here, []).append(there)
    for here in sorted(found):
        print(f"{here:20}{' '.join(sorted(found[here]))}")


def main():
    programs = [tracked(*(f"{room}/*.{kind}" for room in rooms for kind in "chS"))
                for rooms in PROGRAMS]
    # The public headers are everybody's.
    library = [name for name in programs[0] if "/include/" not in name]
    if sys.argv[1:] == ["--print"]:
        draw(library)
        return
    if sys.argv[1:] == ["--uses"]:
        for names in programs:
            for name, used in sorted(uses(names).items()):
                for other, word in sorted(used.items()):
                    print(name, other, word)
        return
    if sys.argv[1:]:
        sys.exit(__doc__)
    problems = []
    check_folders(library, problems.append)
    for names in programs:
        check_files(names, problems.append)
    for problem in problems:
        print(f"layers: {problem}", file=sys.stderr)
    sys.exit(1 if problems else 0)


main()
