"""The README's table of agents, made from the catalogue: `python -m tests.cli.agents_table`."""

from localguard.cli.agent_catalogue import AGENTS


def table() -> str:
    """The table as Markdown, without a line break at its end."""
    rows = [f"| {agent.title} | `{agent.name}` | {agent.setting} | {agent.verified or 'not run'} |" for agent in AGENTS]
    return "\n".join(
        ["| agent | name | what `agents connect` writes | run with it, and without again |", "|---|---|---|---|", *rows]
    )


if __name__ == "__main__":
    print(table())
