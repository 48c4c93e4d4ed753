"""One stage of a run: the loop's steps, and what is due between them: saving, scoring, the best checkpoint, the log."""

import time
from collections.abc import Iterator
from contextlib import nullcontext

from tqdm import tqdm

from minbert.files import write_text
from multitask import processes
from multitask.checkpoint import save_checkpoint
from multitask.conflict import conflict_batches, measure_conflict
from multitask.failures import explained
from multitask.frozen import FrozenSupervised
from multitask.interrupt import Interrupt
from multitask.judge import Judge
from multitask.model_card import model_card
from multitask.progress import Best, Keeper, Progress, Setting
from multitask.recipe import Recipe
from multitask.record import EpochLog, describe_epoch, describe_step, find_faint, is_better, to_json, value_of
from multitask.stage import Parts, count_steps, start_stage
from multitask.train import Step, run_stage


class StageRun:
    """Stage number `index` of a run, from its first step or from where `progress` says that it was saved.

    The state is saved before an epoch is judged. So wherever the process ends, a run that goes on later judges the epoch
    again, and writes the same best checkpoint and the same line of the log again.
    """

    def __init__(self, recipe: Recipe, index: int, parts: Parts, setting: Setting, progress: Progress) -> None:
        self.recipe, self.index, self.parts, self.setting, self.progress = recipe, index, parts, setting, progress
        self.stage = recipe.stages[index]
        processes.draw_alike(recipe.seed, index)
        self.state, self.schedule = start_stage(recipe, index, parts)
        self.judge, self.log, self.keeper = Judge(recipe, index, parts), EpochLog(), Keeper(recipe, setting.folder / "last")
        progress.stage = index
        if saved := progress.take_saved():
            self.state.load_state_dict(saved["train"])
            self.judge.load_state_dict(saved["judge"])
            self.log.load_state_dict(saved["log"], setting.device)
        else:
            self.judge.begin()
        self.conflict_batches = conflict_batches(self.state)

    def train(self, interrupt: Interrupt) -> None:
        """Takes the stage's steps to its end; judges every epoch, and keeps the run's best checkpoint in best/."""
        for note in filter(None, (getattr(objective, "note", "") for objective in self.state.objectives.values())):
            print(f"note    {note}", flush=True)
        earlier = sum(len(self.schedule(epoch)) for epoch in range(1, self.state.epoch)) + self.state.step
        with tqdm(total=count_steps(self.schedule, self.stage), initial=earlier, unit="step", dynamic_ncols=True,
                  disable=not processes.is_first(), desc=f"stage {self.index + 1}/{len(self.recipe.stages)}") as bar:
            for step in self.steps(interrupt):
                bar.update(bool(step.losses))
                if not step.ends_epoch:
                    continue
                self.end_epoch(step, bar)
                if self.judge.is_over(step.epoch):
                    bar.write(f"stopped: no better {self.judge.chosen} in {self.stage.patience} epochs")
                    break
        if self.judge.weights:
            self.parts.model.load_state_dict(self.judge.weights)

    def steps(self, interrupt: Interrupt) -> Iterator[Step]:
        """The steps from where the stage stands; the state is saved where that is due, and before Stopped is raised.

        An epoch's end at which the state was saved comes again, without losses: it was not judged yet.
        """
        if 0 < self.state.step == len(self.schedule(self.state.epoch)):
            yield Step(self.state.epoch, self.state.step, {}, {}, 0, ends_epoch=True)
        with explained(self.state, self.index, self.parts.data, self.setting.folder):
            for objective in self.state.objectives.values():
                if isinstance(objective, FrozenSupervised):
                    objective.encode()  # here, where a signal does not wait for it
        steps = run_stage(self.state, self.schedule, self.stage.epochs, self.recipe.optimizer.clip)
        while True:
            with interrupt.deferred(), explained(self.state, self.index, self.parts.data, self.setting.folder):
                step = next(steps, None)
                if step is None:
                    return
                self.log.add(step)
                self.progress.steps += 1
                if saved := processes.is_first() and self.keeper.is_due(self.progress.steps, step.ends_epoch):
                    self.keeper.save(self.progress, self.state, self.judge, self.log)
                if stopped := interrupt.asked_anywhere():  # after saving: signals that came in it are heard before an evaluation
                    if processes.is_first() and not saved:
                        tqdm.write(f"{stopped}: saving where the run stands")  # seconds, in which one might press Ctrl-C again
                        self.keeper.save(self.progress, self.state, self.judge, self.log)
                    processes.wait()  # where one ends, torchrun ends the others: not while the first is saving
                    raise stopped
            yield step

    def end_epoch(self, step: Step, bar: tqdm) -> None:
        """Judges the epoch and writes its line of metrics.jsonl."""
        record = describe_step(self.index, step, self.log, max(self.state.learning_rate.current))
        started = time.perf_counter()
        with self.state.average.applied() if self.state.average else nullcontext():
            scores = self.keep_best(step.epoch)
        record |= {"best_so_far": self.progress.best is not None and self.progress.best.place == (self.index, step.epoch)}
        if self.conflict_batches:
            record["gradient_cosines"] = measure_conflict(self.parts.model, self.state.objectives, self.conflict_batches)
        record |= {**scores, "evaluation_seconds": time.perf_counter() - started}
        self.progress.lines.append(to_json(record))
        if processes.is_first():
            write_text(self.setting.folder / "metrics.jsonl", "".join(f"{line}\n" for line in self.progress.lines))
        bar.write(describe_epoch(record))
        if step.epoch == 1 and (faint := find_faint(record)):
            bar.write(f"note    {faint}: below a thousandth of the loss; `python -m multitask.effect` measures its effect")
        self.log = EpochLog()

    def keep_best(self, epoch: int) -> dict:
        """The scores of the model as it is, which becomes best/ if it is the run's best so far."""
        outputs, scores = self.judge.score()
        self.judge.note(scores, epoch)
        best = self.progress.best
        if outputs and is_better(value := value_of(scores, self.recipe.select_by), best and best.value):
            self.progress.best = Best(self.index, epoch, value, outputs)
            if processes.is_first():
                card = model_card(self.recipe, self.setting.facts, self.setting.command)
                save_checkpoint(self.setting.folder / "best", self.recipe, self.parts.model, self.parts.tokenizer, card)
        return scores
