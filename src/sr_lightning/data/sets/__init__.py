"""The data sets, one file each: a LightningDataModule that a config in ``conf/data`` names."""
