"""What docs/results.md shows: five published systems and the field's figures, reproduced and then searched. One module per row.

Each module measures (`python -m benchmarks proof_NAME`), keeps its raw figures in `benchmarks/results/proof_NAME.json`, and
makes its section of the page from that file. `python -m benchmarks results_page` puts the sections together.
"""

from __future__ import annotations
