"""Run dcnum's pipeline with the reader that the environment names.

usage: python run_pipeline.py PATH_IN PATH_OUT JOB_KWARGS_AS_JSON
"""

from __future__ import annotations

import json
import os
import sys

from serve import install

# At top level, so that spawned workers do it too.
install(os.environ["DROPIN_READER"], os.environ["DROPIN_WITNESS"])


def main() -> int:
    from dcnum.logic import DCNumJobRunner, DCNumPipelineJob

    path_in, path_out, text = sys.argv[1:]
    kwargs = json.loads(text)
    data_kwargs = kwargs.get("data_kwargs", {})
    if isinstance(data_kwargs.get("index_mapping"), dict):
        data_kwargs["index_mapping"] = slice(*data_kwargs["index_mapping"]["slice"])
    job = DCNumPipelineJob(path_in=path_in, path_out=path_out, **kwargs)
    job.validate()
    with DCNumJobRunner(job=job, tmp_suffix="dropin") as runner:
        runner.run()
    if runner.error_tb is not None:
        sys.stderr.write(runner.error_tb)
        return 1
    return 0 if runner.state == "done" else 2


if __name__ == "__main__":
    sys.exit(main())
