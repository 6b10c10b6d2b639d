"""Benchmarks: what is claimed of speed and cost, measured again by one command each.

    python -m benchmarks                 what there is
    python -m benchmarks peers --quick   the same at a size that takes seconds
    python -m benchmarks peers --data-dir DIR

Raw results go to `benchmarks/results/NAME.json`, with the machine and the date; tables made from them to
`benchmarks/RESULTS.md`. A benchmark that was stopped goes on where it stopped.
"""
