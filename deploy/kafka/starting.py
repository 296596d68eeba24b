"""From nothing to the broker's Java command: jars, Java, recording, in this order."""

import sys
from collections.abc import Mapping

from deploy.kafka import broker, jars, training
from deploy.kafka.java import java


def command(env: Mapping[str, str], progress: jars.Progress) -> list[str]:
    """Return the Java command up to the main class; fetch and check everything that it names.

    Raises JarError or SettingError (deploy.kafka.jars, .java) if that is impossible.
    """
    cache = jars.cache_directory(env)
    paths = jars.ensure(cache, jars.listed(jars.LOCK.read_text()), progress)
    program = java(env)
    made = broker.jvm(program, paths)
    recording = training.file_for(cache, program, paths)
    if recording is None:
        return made
    if not recording.exists():
        print("Recording a start of Kafka so that the next ones are quick (once) ...", file=sys.stderr)
        try:
            training.record(made, recording)
        except (RuntimeError, OSError) as error:  # aiokafka's errors are RuntimeErrors
            print(f"kafka: starts will be slower, because {error}", file=sys.stderr)
            return made
    # Java warns about each adapter that it links anew; nothing can be done about it.
    return [made[0], f"-XX:AOTCache={recording}", "-Xlog:aot*=off", *made[1:]]


def is_prepared(env: Mapping[str, str]) -> bool:
    """True if a start needs neither the network nor a recording."""
    cache = jars.cache_directory(env)
    if not cache.is_dir():
        return False
    paths = [cache / jar.filename for jar in jars.listed(jars.LOCK.read_text())]
    recording = training.file_for(cache, java(env), paths)
    return recording is None or recording.exists()
