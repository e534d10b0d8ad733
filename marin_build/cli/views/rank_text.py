"""How a rank of a gang ended, for the output of its job."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from marin_build.cli.terminal import echo
from marin_build.text.readable import first_line

if TYPE_CHECKING:
    from marin_build.run_step.launch import Launch
    from marin_build.run_step.rank import RankEnded


def show_rank(launch: Launch, target: str, ended: RankEnded, *, as_json: bool) -> None:
    """Print a line, or a JSON object on one."""
    if as_json:
        said = {"event": "rank_ended", "target": target, "rank": launch.rank}
        said |= {"exit_code": ended.exit_code, "message": ended.message, "seconds": ended.seconds}
        echo(json.dumps(said))
        return
    how = f"ended well in {ended.seconds:.1f} s"
    if ended.exit_code:
        how = f"ended with exit code {ended.exit_code}: {first_line(ended.message)}"
    elif ended.message:
        how = ended.message
    echo(f"rank {launch.rank} of {launch.ranks}, {target}: {how}")
