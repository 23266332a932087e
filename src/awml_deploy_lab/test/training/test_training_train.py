from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from batch_boxes import infer_batch
from training_scenes import RandomScenes, random_batch, tiny_recipe

from awml_deploy_core.errors import CheckpointError, ConfigError
from awml_deploy_lab.training import outputs
from awml_deploy_lab.training import train as command
from awml_deploy_lab.training.curve import main as curve_main
from awml_deploy_lab.training.recipe import RECIPES, find_recipe
from awml_deploy_lab.training.trainer import MEASURES, Trainer, one_cycle
from awml_extractors.centerpoint.checkpoint import load_checkpoint

CPU = torch.device("cpu")


def test_the_tiny_model_learns_a_few_frames_by_heart(tmp_path):
    recipe = tiny_recipe(
        steps=250,
        lr=1e-2,
        ema_decay=0.9,
        flip=False,
        max_yaw=0.0,
        scale=(1.0, 1.0),
        past_drop_probability=0.0,
    )
    trainer = Trainer(recipe, CPU)
    assert command.train(trainer, RandomScenes(2, period=2), tmp_path, log_every=25)
    metrics = outputs.read_metrics(tmp_path)
    assert metrics[-1]["loss"] < 0.25 * metrics[0]["loss"]
    model = load_checkpoint(recipe.config(), outputs.write_checkpoint(tmp_path, trainer))
    for seed in range(2):
        batch = random_batch(np.random.default_rng(seed), 2)
        for frame, found in enumerate(infer_batch(model, batch, score_threshold=0.3)):
            mine = batch.box_frame == frame
            boxes, labels = batch.boxes[mine].numpy(), batch.labels[mine].numpy()
            assert len(found) == len(boxes)
            for box, label in zip(boxes, labels, strict=True):
                distance = np.linalg.norm(found.centers[:, :2] - box[:2], axis=1)
                nearest = distance.argmin()
                assert distance[nearest] < 0.5
                assert found.labels[nearest] == label
                np.testing.assert_allclose(found.sizes[nearest], box[3:6], rtol=0.25)


def run(folder, recipe, stops=()):
    """Train in as many runs as there are stops and one more; the last trainer."""
    for until in (*stops, recipe.steps):
        trainer = Trainer(recipe, CPU)
        seconds = outputs.load_state(folder, trainer)
        outputs.forget_metrics_after(folder, trainer.step_count)
        command.train(
            trainer,
            RandomScenes(recipe.batch_size),
            folder,
            stop=lambda: trainer.step_count == until,  # noqa: B023
            seconds=seconds,
            log_every=2,
        )
        assert trainer.step_count == until
    return trainer


def test_a_training_in_parts_gives_the_bits_of_one_in_one(tmp_path):
    for name in ("whole", "parts"):
        (tmp_path / name).mkdir()
    recipe = tiny_recipe(steps=6)
    whole, parts = run(tmp_path / "whole", recipe), run(tmp_path / "parts", recipe, stops=(1, 4))
    for model in ("model", "average"):
        torch.testing.assert_close(whole.state()[model], parts.state()[model], rtol=0, atol=0)
    steps = [line["step"] for line in outputs.read_metrics(tmp_path / "parts")]
    assert steps == [1, 2, 4, 6]


def test_measurements_of_steps_that_are_done_again_are_forgotten(tmp_path):
    for step in (2, 4, 6):
        outputs.append_metrics(tmp_path, {"step": step})
    with (tmp_path / outputs.METRICS).open("a") as stream:
        stream.write('{"step": 8, "lo')
    outputs.forget_metrics_after(tmp_path, 4)
    assert (tmp_path / outputs.METRICS).read_text() == '{"step": 2}\n{"step": 4}\n'


def test_checkpoints_hold_the_average_and_say_where_they_come_from(tmp_path):
    recipe = tiny_recipe(steps=2)
    trainer = run(tmp_path, recipe)
    path = outputs.write_checkpoint(tmp_path, trainer)
    loaded = load_checkpoint(recipe.config(), path)
    average = trainer.average.model.state_dict()
    for name, value in loaded.state_dict().items():
        expected = torch.tensor(2) if name.endswith("num_batches_tracked") else average[name]
        assert torch.equal(value, expected), name
    meta = torch.load(path, weights_only=True)["meta"]
    assert meta["recipe_sha256"] == recipe.digest()
    assert meta["step"] == 2
    assert meta["class_names"] == ["CAR", "PEDESTRIAN"]
    assert type(recipe).model_validate(meta["recipe"]).digest() == recipe.digest()


def test_half_checkpoints_load_and_keep_normalisations_whole(tmp_path):
    trainer = Trainer(tiny_recipe(), CPU)
    full = outputs.write_checkpoint(tmp_path, trainer).stat().st_size
    path = outputs.write_checkpoint(tmp_path, trainer, half=True)
    assert path.stat().st_size < 0.8 * full
    state = torch.load(path, weights_only=True)["state_dict"]
    assert state["pts_backbone.blocks.0.0.weight"].dtype == torch.float16
    assert state["pts_backbone.blocks.0.1.running_var"].dtype == torch.float32
    load_checkpoint(trainer.recipe.config(), path)


def test_a_state_of_another_recipe_is_refused(tmp_path):
    outputs.save_state(tmp_path, Trainer(tiny_recipe(), CPU), 1.0)
    with pytest.raises(ConfigError, match=r"seed: 0 there, 3 now\n  - steps: 6 there, 7 now"):
        outputs.load_state(tmp_path, Trainer(tiny_recipe(steps=7, seed=3), CPU))
    (tmp_path / outputs.STATE).write_bytes(b"nonsense")
    with pytest.raises(CheckpointError, match="Delete it"):
        outputs.load_state(tmp_path, Trainer(tiny_recipe(), CPU))


def test_learning_rate_and_momentum_are_those_of_torch():
    recipe = tiny_recipe(steps=50)
    optimizer = torch.optim.AdamW([torch.zeros(1, requires_grad=True)], lr=recipe.lr)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.lr, recipe.steps, pct_start=0.4, div_factor=10, final_div_factor=1e4
    )
    for step in range(recipe.steps):
        rate, beta = one_cycle(recipe, step)
        group = optimizer.param_groups[0]
        assert rate == pytest.approx(group["lr"], rel=1e-9, abs=1e-15)
        assert beta == pytest.approx(group["betas"][0], rel=1e-9)
        optimizer.step()
        if step + 1 < recipe.steps:
            schedule.step()


def test_restarted_learning_rates_are_those_of_torch():
    recipe = tiny_recipe(steps=110, restarts=({"step": 50}, {"step": 80}))
    before = tiny_recipe(steps=50)
    assert [one_cycle(recipe, step) for step in range(50)] == [
        one_cycle(before, step) for step in range(50)
    ]
    lowest = recipe.lr / recipe.lr_divisor / recipe.final_lr_divisor
    for start in (50, 80):
        optimizer = torch.optim.AdamW([torch.zeros(1, requires_grad=True)], lr=recipe.lr)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 29, eta_min=lowest)
        for step in range(start, start + 30):
            rate = optimizer.param_groups[0]["lr"]
            assert one_cycle(recipe, step)[0] == pytest.approx(rate, rel=1e-6, abs=1e-12)
            optimizer.step()
            schedule.step()


def test_a_restart_lies_within_the_steps():
    with pytest.raises(ConfigError, match="restart at step 50, expected less than steps, 50"):
        tiny_recipe(steps=80).changed(steps=50, restarts=({"step": 50},))
    with pytest.raises(ConfigError, match=r"restarts at steps \[50, 40\], expected rising steps"):
        tiny_recipe(steps=80).changed(restarts=({"step": 50}, {"step": 40}))


def test_a_restart_weighs_velocities_from_its_step_on():
    batch = next(RandomScenes(2).batches(0))
    plain = Trainer(tiny_recipe(), CPU).step(batch)
    terms = {}
    for step in (1, 2):
        recipe = tiny_recipe(restarts=({"step": step, "velocity_weight": 3.0},))
        trainer = Trainer(recipe, CPU)
        trainer.step_count = 1
        terms[step] = dict(zip(MEASURES, trainer.step(batch).tolist(), strict=True))
    assert terms[1]["vel"] == pytest.approx(3 * terms[2]["vel"])
    assert terms[1]["heatmap"] == terms[2]["heatmap"]
    assert plain[MEASURES.index("vel")] > 0


def test_steps_without_past_sweeps_learn_no_velocity():
    trainer = Trainer(tiny_recipe(num_past_sweeps=0), CPU)
    terms = trainer.step(next(RandomScenes(2, past=False).batches(0)))
    assert terms[command.MEASURES.index("vel")] == 0
    assert terms[command.MEASURES.index("rot")] > 0


def test_averages_follow_weights_slowly_and_statistics_too():
    trainer = Trainer(tiny_recipe(ema_decay=0.999, steps=40), CPU)
    for batch, _ in zip(RandomScenes(2).batches(0), range(4), strict=False):
        before = {k: v.clone() for k, v in trainer.average.model.state_dict().items()}
        trainer.step(batch)
        decay = trainer.step_count / (9 + trainer.step_count)
        for name in ("pts_backbone.blocks.0.0.weight", "pts_backbone.blocks.0.1.running_mean"):
            expected = decay * before[name] + (1 - decay) * trainer.model.state_dict()[name]
            torch.testing.assert_close(trainer.average.model.state_dict()[name], expected)
    assert not trainer.average.model.training


@pytest.fixture
def scenes_instead_of_the_simulator(monkeypatch):
    monkeypatch.setattr(command, "make_source", lambda recipe, device: RandomScenes(recipe.batch_size))


@pytest.mark.usefixtures("scenes_instead_of_the_simulator")
def test_the_command_stops_in_time_and_continues(tmp_path, capsys):
    arguments = [
        "smoke",
        "--output",
        str(tmp_path / "out"),
        "--steps",
        "3",
        "--device",
        "cpu",
        "--log-every",
        "1",
    ]
    assert command.main([*arguments, "--time-limit", "0"]) == command.UNFINISHED
    assert "after 1 of 3 steps: stopped" in capsys.readouterr().out
    assert command.main(arguments) == 0
    out = capsys.readouterr().out
    assert "step 2/3  loss " in out
    assert "after 3 of 3 steps: finished" in out
    lines = [json.loads(line) for line in (tmp_path / "out" / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3]
    assert {"lr", "loss", "heatmap", "vel", "grad_norm", "seconds", "frames_per_second"} <= lines[0].keys()
    assert lines[0]["seconds"] < lines[1]["seconds"] < lines[2]["seconds"]
    assert all(math.isfinite(value) for line in lines for value in line.values())
    load_checkpoint(find_recipe("smoke").config(), tmp_path / "out" / "checkpoint.pth")
    # What is finished stays as it is.
    assert command.main(arguments) == 0

    pytest.importorskip("matplotlib")
    assert curve_main([str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "curve.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["smoke1"], "did you mean smoke?"),
        (["smoke", "--steps", "0"], "steps: "),
        (["smoke", "--device", "gpu9"], "device gpu9: cannot be used"),
    ],
)
def test_bad_commands_end_with_one_clear_line(arguments, message, tmp_path, capsys):
    assert command.main([*arguments, "--output", str(tmp_path)]) == 2
    assert message in capsys.readouterr().err


def test_a_loss_that_is_not_finite_ends_the_training(tmp_path):
    trainer = Trainer(tiny_recipe(), CPU)
    with torch.no_grad():
        next(trainer.model.pts_bbox_head.parameters()).fill_(torch.nan)
    with pytest.raises(command.TrainingError, match="not finite"):
        command.train(trainer, RandomScenes(2), tmp_path, log_every=1)
    assert not (tmp_path / outputs.STATE).exists()


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_are_valid_and_have_their_own_hash(name):
    recipe = find_recipe(name)
    recipe.config()
    assert json.loads(json.dumps(recipe.as_dict())) == recipe.as_dict()
    assert recipe.changed(seed=1).digest() != recipe.digest()
    assert recipe.changed(seed=None) == recipe
    with pytest.raises(ConfigError, match="variance"):
        recipe.changed(model={**recipe.model, "has_variance": True}).config()
