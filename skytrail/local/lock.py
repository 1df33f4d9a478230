"""Regenerates `engines.lock.toml`: `python -m skytrail.local.lock`.

Resolves the distributions below with jgo, downloads every file and writes coordinate, size and SHA-256 of each. Do it
after changing a version here, from a network you trust, and review the difference: later downloads are held to it.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from skytrail.local.artifacts import LOCK_FILE, Artifact, download, sha256_of

KAFKA = "4.1.1"
ELASTICSEARCH = ("8.19.8", "9.1.0")
LOG_BACKEND = "org.apache.logging.log4j:log4j-slf4j-impl:2.24.3"  # Kafka is released without one: it would be mute
ZIP = "org.elasticsearch.distribution.integ-test-zip:elasticsearch:{version}:zip"

HEADER = f"""\
# Released files that the local engines consist of. Written by `python -m skytrail.local.lock`; do not edit.
# A downloaded file with another SHA-256 is refused. Default versions: Kafka {KAFKA}, Elasticsearch {ELASTICSEARCH[0]}.
"""


def resolve(roots: Iterable[str]) -> list[str]:
    """Coordinates of `roots` and of everything they need at run time, sorted."""
    from jgo.maven import Dependency, MavenContext, PythonResolver  # noqa: PLC0415 -- of the extra "local"

    with tempfile.TemporaryDirectory() as staging:
        context = MavenContext(resolver=PythonResolver(), repo_cache=Path(staging), local_repos=[])
        # raw: else jgo takes each root for a bill of materials, and the log backend's downgrades kafka-clients to 3.8
        wanted = [
            Dependency(context.project(group, name).at_version(version).artifact(), raw=True)
            for group, name, version in (root.split(":") for root in roots)
        ]
        inputs, transitive = context.resolver.resolve(wanted)
    return sorted({f"{dep.groupId}:{dep.artifactId}:{dep.version}" for dep in (*inputs, *transitive)})


def pin(coordinates: Sequence[str]) -> list[Artifact]:
    """Download `coordinates` and take their sizes and checksums."""

    def one(numbered: tuple[int, str]) -> Artifact:
        number, coordinate = numbered
        path = download(coordinate, Path(staging) / str(number))
        return Artifact(coordinate, path.stat().st_size, sha256_of(path))

    with tempfile.TemporaryDirectory() as staging, ThreadPoolExecutor(4) as pool:
        return list(pool.map(one, enumerate(coordinates)))


def render(distributions: dict[str, list[Artifact]]) -> str:
    """The text of the lock file."""
    lines = [HEADER]
    for distribution, artifacts in distributions.items():
        for artifact in artifacts:
            lines.append(f'[["{distribution}".artifact]]')
            lines.append(f'coordinate = "{artifact.coordinate}"')
            lines.append(f"size = {artifact.size}")
            lines.append(f'sha256 = "{artifact.sha256}"\n')
    return "\n".join(lines)


def main() -> int:
    """Write the lock file beside this module."""
    wanted = {f"kafka-{KAFKA}": resolve([f"org.apache.kafka:kafka_2.13:{KAFKA}", LOG_BACKEND])}
    wanted |= {f"elasticsearch-{version}": [ZIP.format(version=version)] for version in ELASTICSEARCH}
    target = Path(__file__).with_name(LOCK_FILE)
    target.write_text(render({name: pin(coordinates) for name, coordinates in wanted.items()}), encoding="utf-8")
    sys.stdout.write(f"{target}: {sum(map(len, wanted.values()))} files pinned\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
