"""Records of a streamed artifact that are asked for by their numbers, so that what comes next has to be guessed."""

from __future__ import annotations

import numpy as np

from loader._fetch.arrivals import MISSING, Arrivals
from loader._fetch.s3_client import CONNECTIONS
from loader._fetch.units import Array

EXACT_READS = 64
"""How many records are read alone; whoever goes on reads many, so that of the next ones, the neighbors are read too."""
MAX_UNDER_WAY = 2 * CONNECTIONS
"""Up to how many requests to read ahead."""


class ReadByNumber:
    """A function from a row to its record, which is fetched if it has not arrived.

    Parameters
    ----------
    arrivals
        The artifact's records.
    """

    def __init__(self, arrivals: Arrivals) -> None:
        self._arrivals = arrivals
        self._read_waiting = arrivals.waiting_reader()
        self._reads = 0

    def __call__(self, row: int) -> bytes:
        """Return the record of a row; the errors are those of `Arrivals.fetch`."""
        if self._arrivals.state[row] == MISSING:
            self.expect(np.array([row]), 1)
        return self._read_waiting(row)

    def expect(self, rows: Array, count: int) -> None:
        """Begin to fetch records.

        Parameters
        ----------
        rows
            Their rows, and those that are likely to be asked for after them; if there are none of these, the records
            behind the fetched ones are.
        count
            How many are asked for now.
        """
        arrivals = self._arrivals
        if not arrivals.keeps:
            return
        missing = arrivals.missing(rows[:count])
        if not missing.size:
            arrivals.complete_if_whole()
        behind = self._request(missing)
        if self._reads > EXACT_READS:
            following = rows[count:] if len(rows) > count else np.array(behind, np.intp)
            self._request(arrivals.missing(following), up_to=MAX_UNDER_WAY)

    def _request(self, rows: Array, *, up_to: int | None = None) -> list[int]:
        """Have records fetched while fewer than `up_to` requests are under way; return the rows behind them."""
        arrivals, behind = self._arrivals, []
        if rows.size:
            arrivals.load_rows(rows)
        for row in rows.tolist():
            if up_to is not None and arrivals.requests_under_way >= up_to:
                break
            with arrivals.planning:
                if arrivals.state[row] != MISSING:
                    continue
                self._reads += 1
                unit = arrivals.unit(row, None if self._reads <= EXACT_READS else arrivals.all)
                arrivals.request(unit)
            if unit.rows[-1] + 1 < arrivals.count:
                behind.append(unit.rows[-1] + 1)
        return behind
