"""docs/session.md does what it says: a plain loop, a Lightning and a Hugging Face Trainer callback, as they stand there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from prunesearch.policy import Policy

PAGE = Path(__file__).resolve().parents[2] / "docs" / "session.md"
BLOCKS = dict(re.findall(r"<!-- runs: (\w+) -->\n```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL))
POLICY = Policy(epochs=3, granularity="neuron", function="one_shot", threshold=0.5, epoch_threshold=1)


def executed(name: str, given: dict[str, Any] | None = None) -> dict[str, Any]:
    names = given or {}
    exec(compile(BLOCKS[name], f"{PAGE.name}: {name}", "exec"), names)
    return names


def data() -> TensorDataset:
    x = torch.randn(96, 12, generator=torch.Generator().manual_seed(0))
    return TensorDataset(x, (x[:, 0] > 0).long())


def test_the_page_has_these_blocks() -> None:
    assert list(BLOCKS) == ["plain", "lightning", "transformers", "keeping"]


def test_the_plain_loop_and_what_stays_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    names = executed("keeping", executed("plain"))
    model, fresh, finished = names["model"], names["fresh"], names["finished"]
    assert [layer.weight.shape for layer in (model[0], model[2], model[4])] == [(64, 64), (32, 64), (10, 32)]
    assert finished.infeasible is None and finished.masked_difference < 1e-5 and names["accuracy"] > 0.7
    assert torch.equal(fresh(names["x"]), model(names["x"]))


@pytest.mark.filterwarnings("ignore")
def test_the_lightning_callback(tmp_path: Path) -> None:
    lightning = pytest.importorskip("lightning", reason="lightning is not installed")

    class Module(lightning.LightningModule):  # type: ignore[misc, name-defined]
        """Looks after every step and while it is measured whether the masks are there."""

        def __init__(self) -> None:
            super().__init__()
            self.network = nn.Sequential(nn.Linear(12, 10), nn.ReLU(), nn.Linear(10, 2))
            self.first = self.network.get_parameter("0.weight")
            self.zeros: list[int] = []

        def training_step(self, batch: Any, _index: int) -> torch.Tensor:
            return functional.cross_entropy(self.network(batch[0]), batch[1])

        def validation_step(self, batch: Any, _index: int) -> None:
            self.zeros.append(int((~self.first.any(1)).sum()))
            self.log("accuracy", (self.network(batch[0]).argmax(1) == batch[1]).float().mean())

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.Adam(self.parameters(), lr=0.01)

    torch.manual_seed(0)
    module, pruning = Module(), executed("lightning")["Pruning"](POLICY, data().tensors[0][:2])
    trainer = lightning.Trainer(
        max_epochs=3,
        callbacks=[pruning],
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
    )
    trainer.fit(module, DataLoader(data(), 16), DataLoader(data(), 96))
    assert module.zeros == [0, 0, 5, 5]  # the check before training, the dense epoch, two that are measured masked
    assert module.network[0].weight.shape == (5, 12) and pruning.finished.infeasible is None


SMALL_BERT = {
    "vocab_size": 40,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 8,
    "hidden_dropout_prob": 0.0,
}


class Sentences(torch.utils.data.Dataset[Mapping[str, torch.Tensor]]):
    """Words of which the first decides."""

    def __init__(self) -> None:
        self.tokens = torch.randint(3, 40, (32, 6), generator=torch.Generator().manual_seed(0))

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, i: int) -> Mapping[str, torch.Tensor]:
        tokens = self.tokens[i]
        return {"input_ids": tokens, "attention_mask": torch.ones_like(tokens), "labels": (tokens[0] > 20).long()}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("function", ["one_shot", "one_shot_static"])
def test_the_hugging_face_callback(tmp_path: Path, function: str) -> None:
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    pytest.importorskip("accelerate", reason="accelerate is not installed")
    torch.manual_seed(0)
    model = transformers.BertForSequenceClassification(transformers.BertConfig(**SMALL_BERT))
    example = {name: value[None] for name, value in Sentences()[0].items() if name != "labels"}
    policy = Policy(epochs=3, granularity="neuron", function=function, threshold=0.5, epoch_threshold=1, only=("*intermediate*",))
    pruning = executed("transformers")["Pruning"](policy, example)
    zeros: list[int] = []

    def look(found: Any) -> dict[str, float]:
        zeros.append(int((model.bert.encoder.layer[0].intermediate.dense.weight == 0).all(1).sum()))
        return {"accuracy": float((found.predictions.argmax(1) == found.label_ids).mean())}

    trainer = transformers.Trainer(
        model=model,
        args=transformers.TrainingArguments(
            output_dir=str(tmp_path),
            num_train_epochs=3,
            eval_strategy="epoch",
            save_strategy="no",
            report_to=[],
            per_device_train_batch_size=8,
            disable_tqdm=True,
            use_cpu=True,
        ),
        train_dataset=Sentences(),
        eval_dataset=Sentences(),
        compute_metrics=look,
        callbacks=[pruning],
    )
    trainer.train()
    assert zeros == [0, 12, 12]
    widths = [layer.intermediate.dense.out_features for layer in model.bert.encoder.layer]
    assert widths == [12, 12] and pruning.finished.infeasible is None
    assert pruning.finished.recovered is None and pruning.accuracy is not None
