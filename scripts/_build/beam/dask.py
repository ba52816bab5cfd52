"""Beam's Dask runner, fixed for the pipelines of datasets.

The runner that comes with Beam (2.77) computes only the branch of a pipeline that was added last, so all splits but one
would be missing. It also computes a side input again for every partition that needs it, moves all examples to one
worker to count them, and skips transforms that it does not know. Its translation of the other transforms is used here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any

import dask
from apache_beam.internal import pickler
from apache_beam.pipeline import PipelineVisitor, PTransformOverride
from apache_beam.pvalue import PBegin
from apache_beam.runners.dask import overrides, transform_evaluator
from apache_beam.runners.dask.dask_runner import DaskOptions
from apache_beam.runners.direct.direct_runner import BundleBasedDirectRunner
from apache_beam.runners.runner import PipelineResult, PipelineState
from apache_beam.transforms.combiners import LiftedCombinePerKey
from apache_beam.transforms.core import CombinePerKey, ParDo
from dask import distributed

from scripts._define.packages import appended_folders
from scripts._process.errors import ScriptError

# Beam's GroupByKey has already grouped the values by key, and Dask distributes the work
_NOTHING_TO_DO = (overrides._GroupAlsoByWindow, overrides._Reshuffle)
# per thread of the cluster: enough to keep all busy, but few, because a shuffle in Dask has the square of it in tasks
_PARTITIONS = 4


class DaskRunner(BundleBasedDirectRunner):  # type: ignore[misc]
    """Runs a pipeline on a Dask cluster: the one that `--dask_client_address` names, or one on this machine."""

    def run_pipeline(self, pipeline: Any, options: Any) -> PipelineResult:
        """Run the whole pipeline and return when it has finished."""
        logging.getLogger("distributed").setLevel(logging.CRITICAL)
        given = options.view_as(DaskOptions).get_all_options(drop_default=True, current_only=True)
        partitions = DaskOptions._extract_bag_kwargs(given)
        is_local = not given.keys() & {"address", "scheduler_file"}
        if is_local:
            given |= {"dashboard_address": "127.0.0.1:0", "silence_logs": logging.CRITICAL}
        try:
            client = distributed.Client(**given)
        except (OSError, ValueError) as error:
            raise ScriptError(f"BEAM: no Dask scheduler can be reached: {' '.join(str(error).split())}") from error
        with client:
            if is_local:
                client.run(_quiet())
            pipeline.replace_all([_CombineInPartitions(), *overrides.dask_overrides()])
            translation = _Translation(partitions or {"npartitions": _PARTITIONS * sum(client.nthreads().values())})
            pipeline.visit(translation)
            try:
                client.gather(client.compute([bag.to_delayed() for bag in translation.final_bags()]))
            except distributed.KilledWorker as error:
                raise ScriptError(
                    f"BEAM: {error.allowed_failures + 1} of Dask's workers died at the same task, the last one was "
                    f"{error.last_worker.address}; do they have enough memory?"
                ) from error
        return _Done(PipelineState.DONE)

    @staticmethod
    def is_fnapi_compatible() -> bool:
        """Return whether Beam may run parts of the pipeline itself."""
        return False


class _Done(PipelineResult):  # type: ignore[misc]
    def wait_until_finish(self, duration: int | None = None) -> str:
        return str(self.state)


class _CombineInPartitions(PTransformOverride):  # type: ignore[misc]
    """Combines the values of each partition before they are moved."""

    def matches(self, node: Any) -> bool:
        return type(node.transform) is CombinePerKey

    def get_replacement_transform_for_applied_ptransform(self, node: Any) -> Any:
        return LiftedCombinePerKey(node.transform.fn, node.transform.args, node.transform.kwargs)


class _Translation(PipelineVisitor):  # type: ignore[misc]
    """Translates each transform of a pipeline to a Dask bag."""

    def __init__(self, bag_options: dict[str, Any]) -> None:
        self._bag_options = bag_options
        self._bags: dict[Any, Any] = {}
        self._used: set[Any] = set()

    def final_bags(self) -> list[Any]:
        """Return the bags that no other bag depends on."""
        return [bag for node, bag in self._bags.items() if node not in self._used]

    def visit_transform(self, node: Any) -> None:
        """Create the bag of a transform; its inputs were visited before."""
        kind = type(node.transform)
        inputs = [self._bag(value) for value in node.inputs if not isinstance(value, PBegin)]
        if len(node.outputs) > 1:
            raise ScriptError(f"BEAM: the Dask runner supports no transform with several outputs: {node.full_label}")
        if kind is ParDo:
            sides = [(view, self._bag(view.pvalue)) for view in node.side_inputs]
            self._bags[node] = _par_do(node, inputs[0], sides)
        elif kind in _NOTHING_TO_DO:
            self._bags[node] = inputs[0]
        elif kind in transform_evaluator.TRANSLATIONS:
            operation = transform_evaluator.TRANSLATIONS[kind](node, bag_kwargs=self._bag_options)
            if kind is overrides._Flatten:
                self._bags[node] = operation.apply(inputs)
            else:
                self._bags[node] = operation.apply(*inputs or [None])
        else:
            raise ScriptError(f"BEAM: the Dask runner does not support {node.full_label} ({kind.__name__})")

    def _bag(self, value: Any) -> Any:
        self._used.add(value.producer)
        return self._bags[value.producer]


def _par_do(node: Any, bag: Any, sides: list[tuple[Any, Any]]) -> Any:
    transform = node.transform
    window_fn = next(iter(node.main_inputs.values())).windowing.windowfn
    arguments, options = transform.raw_side_inputs
    views = [(type(view), view._view_options()) for view, _ in sides]
    # Beam's pickler, because it knows how to send the builder's code
    code = pickler.dumps((transform.fn, transform.label, window_fn, arguments, options, views))
    return bag.map_partitions(_bundle(appended_folders()), code, *(dask.delayed(list)(side) for _, side in sides))


def _bundle(packages: list[str]) -> Callable[..., list[Any]]:
    """Return the function that workers run, nested so that Dask sends it by value: they have no copy of this file."""

    def bundle(values: Iterable[Any], code: bytes, *sides: list[Any]) -> list[Any]:
        import sys

        sys.path += [folder for folder in packages if folder not in sys.path]
        from apache_beam import DoFn
        from apache_beam.internal import pickler
        from apache_beam.runners.common import DoFnContext, DoFnInvoker, DoFnSignature, _OutputHandler
        from apache_beam.runners.dask.transform_evaluator import OneReceiver, get_windowed_value
        from apache_beam.transforms.sideinputs import SideInputMap

        fn, label, window_fn, arguments, options, views = pickler.loads(code)
        received = OneReceiver()
        invoker = DoFnInvoker.create_invoker(
            DoFnSignature(fn),
            _OutputHandler(
                window_fn=window_fn,
                main_receivers=received[None],
                tagged_receivers=received,
                per_element_output_counter=None,
                output_batch_converter=None,
                process_yields_batches=False,
                process_batch_yields_elements=False,
            ),
            context=DoFnContext(label, state=None),
            side_inputs=[
                SideInputMap(kind, view_options, [get_windowed_value(value, window_fn) for value in side])
                for (kind, view_options), side in zip(views, sides, strict=True)
            ],
            input_args=list(arguments),
            input_kwargs=options,
            user_state_context=None,
            bundle_finalizer_param=DoFn.BundleFinalizerParam(),
        )
        invoker.invoke_setup()
        invoker.invoke_start_bundle()
        for value in values:
            invoker.invoke_process(get_windowed_value(value, window_fn))
        invoker.invoke_finish_bundle()
        invoker.invoke_teardown()
        return [windowed.value for windowed in received.values]

    return bundle


def _quiet() -> Callable[[], None]:
    """Return a function that silences the imports of TensorFlow and Beam in a worker on this machine."""

    def quiet() -> None:
        import logging
        import os

        logging.getLogger().addFilter(lambda record: "apitools not found" not in record.getMessage())
        stderr, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, 2)
        try:
            import tensorflow  # noqa: F401
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            os.close(nothing)

    return quiet
