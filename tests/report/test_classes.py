from __future__ import annotations

import torch
from sklearn.metrics import f1_score, precision_score, recall_score

from prunesearch.measure.accuracy import classification_report
from prunesearch.report.classes import class_rows, class_table

TRUE = torch.tensor([0, 0, 0, 1, 1, 2])
DENSE, PRUNED = torch.tensor([0, 0, 0, 1, 1, 2]), torch.tensor([0, 1, 0, 1, 0, 1])


def test_dense_and_pruned_stand_side_by_side() -> None:
    rows = class_rows(classification_report(PRUNED, TRUE, 3), classification_report(DENSE, TRUE, 3))
    assert [(r["class"], r["support"]) for r in rows] == [("0", 3), ("1", 2), ("2", 1), ("macro mean", 6), ("weighted mean", 6)]
    for figure, score in (("precision", precision_score), ("recall", recall_score), ("f1", f1_score)):
        assert [r[figure] for r in rows[:3]] == score(TRUE, PRUNED, average=None, zero_division=0.0).tolist()
        assert [r[f"dense_{figure}"] for r in rows] == [1.0] * 5
        assert rows[4][figure] == score(TRUE, PRUNED, average="weighted", zero_division=0.0)
    titles = [c.title for c in class_table(rows).columns]
    assert titles[2:4] == ["dense precision", "pruned precision"]


def test_either_may_be_missing() -> None:
    report = classification_report(PRUNED, TRUE, 3)
    assert [r["dense_f1"] for r in class_rows(report, {})] == [None] * 5
    assert next((r["f1"], r["support"]) for r in class_rows({}, report)) == (None, 3)
    assert class_rows({}, {}) == []
