"""Plans that cases write for themselves."""
import os

ROLLBACK = """
[rollback]
point = "the leaders before the first step"
command = "preferred leaders are elected"
owner = "the rig"
rule = "roll back if a partition has no leader, or more than 1 % of the answers are errors"
"""


def step(fault, broker="leader-of-most", **more):
    lines = [f'id = "{more.pop("id", fault)}"', f'fault = "{fault}"', 'owner = "the rig"']
    if broker and "zone" not in more:
        lines.append(f'broker = "{broker}"')
    return "\n[[step]]\n" + "\n".join(lines + [f"{name} = {word(value)}" for name, value in more.items()]) + "\n"


def word(value):
    if isinstance(value, dict):
        return "{ " + ", ".join(f'"{name}" = {word(one)}' for name, one in value.items()) + " }"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(word(one) for one in value) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)


def write(target, name, *steps, baseline_s=2, observe_s=4, rollback=ROLLBACK, **tables):
    """A plan file in the target's folder; `tables`: load, guard, requires, limits, each a dict. Its path."""
    path = os.path.join(target.home, f"{name}.toml")
    tables = {"baseline": {"seconds": baseline_s}, "observe": {"seconds": observe_s}, **tables}
    with open(path, "w", encoding="utf-8") as file:
        file.write(f'name = "{name}"\n' + rollback)
        for table, fields in tables.items():
            file.write(f"\n[{table}]\n" + "".join(f"{field} = {word(value)}\n" for field, value in fields.items()))
        file.write("".join(steps))
    return path
