"""A table with missing values."""

import numpy as np
import pandas as pd
import tensorflow_datasets as tfds


class Wages(tfds.core.GeneratorBasedBuilder):
    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(
                {"age": np.float32, "job": tfds.features.Text(), "wage": np.float64, "since": np.int32}
            ),
        )

    def _split_generators(self, dl_manager):
        return {"all_years": self._generate_examples(dl_manager.download("https://wages.invalid/wages.csv"))}

    def _generate_examples(self, path):
        table = pd.read_csv(path)
        table["job"] = table["job"].fillna("")
        table["since"] = table["since"].fillna(-1).astype("int32")
        for row in table.itertuples():
            yield row.Index, {"age": row.age, "job": row.job, "wage": row.wage, "since": row.since}
