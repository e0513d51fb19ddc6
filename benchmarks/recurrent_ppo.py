"""Does RecurrentPPO of sb3-contrib learn the same, and how much faster, after `pyrnn.torch.rl.accelerate`?

python benchmarks/recurrent_ppo.py
python benchmarks/recurrent_ppo.py --steps 10000 --seeds 2
python benchmarks/recurrent_ppo.py --json it.json

The task is CartPole-v1 whose observation lacks both velocities, so that a policy has to remember. Each seed trains two
models from the same weights, one of them accelerated, and the script reports for both the mean return of the last 20
episodes of training, its standard error over the seeds, and the seconds that an update and the collection before it
take.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from sb3_contrib import RecurrentPPO
from stable_baselines3.common.env_util import make_vec_env

import pyrnn.torch.rl

EPISODES = 20


class WithoutVelocity(gymnasium.ObservationWrapper):
    """CartPole that shows the positions of cart and pole, not their velocities."""

    def __init__(self, env: Any) -> None:
        super().__init__(env)
        space = env.observation_space
        self.observation_space = gymnasium.spaces.Box(space.low[[0, 2]], space.high[[0, 2]], dtype=space.dtype)

    def observation(self, observation: Any) -> Any:
        return observation[[0, 2]]


def make(seed: int, accelerated: bool, **options: Any) -> RecurrentPPO:
    """Makes a model for the task."""
    settings = {"n_steps": 128, "batch_size": 128, "n_epochs": 5, "learning_rate": 1e-3, "ent_coef": 0.01}
    settings |= {"policy_kwargs": {"lstm_hidden_size": 64}}
    envs = make_vec_env("CartPole-v1", n_envs=8, seed=seed, wrapper_class=WithoutVelocity)
    model = RecurrentPPO("MlpLstmPolicy", envs, seed=seed, device="cpu", **settings | options)
    if accelerated:
        pyrnn.torch.rl.accelerate(model)
    return model


@dataclass(frozen=True)
class Run:
    """One training: the mean return of its last episodes, and seconds of one collection and one update."""

    seed: int
    accelerated: bool
    mean_return: float
    collect: float
    update: float


def timed(model: Any, name: str) -> list[float]:
    """Returns a list that grows by the seconds of every call of a method."""
    method = getattr(model, name)
    seconds: list[float] = []

    def call(*args: Any, **keywords: Any) -> Any:
        start = time.perf_counter()
        result = method(*args, **keywords)
        seconds.append(time.perf_counter() - start)
        return result

    setattr(model, name, call)
    return seconds


def run(seed: int, accelerated: bool, steps: int) -> Run:
    model = make(seed, accelerated)
    seconds = {name: timed(model, name) for name in ("collect_rollouts", "train")}
    model.learn(steps)
    returns = [episode["r"] for episode in model.ep_info_buffer][-EPISODES:]
    return Run(seed, accelerated, float(np.mean(returns)), *map(statistics.median, seconds.values()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=50_000, help="steps of the environments")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1, help="of torch")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    runs = []
    for seed in range(given.seeds):
        for accelerated in (False, True):
            runs.append(run(seed, accelerated, given.steps))
            print(runs[-1], flush=True)
            if given.json:
                given.json.write_text(json.dumps([asdict(one) for one in runs]))
    for accelerated in (False, True):
        mine = [one for one in runs if one.accelerated is accelerated]
        returns = [one.mean_return for one in mine]
        error = statistics.stdev(returns) / len(returns) ** 0.5 if len(returns) > 1 else float("nan")
        collect, update = (statistics.median(getattr(one, name) for one in mine) for name in ("collect", "update"))
        name = "pyrnn" if accelerated else "torch"
        print(f"{name}: return {np.mean(returns):.1f} +- {error:.1f}, collect {collect:.2f} s, update {update:.2f} s")


if __name__ == "__main__":
    main()
