"""Packages minbert, optim and multitask. torch below 2.10 has open holes in torch.load (CVE-2026-24747)."""

from setuptools import find_packages, setup

setup(
    name="minbert",
    version="0.1.0",
    description="An educational BERT by hand, with a thin multitask layer on top",
    python_requires=">=3.11",
    packages=find_packages(include=["minbert", "optim", "multitask", "multitask.*"]),
    package_data={"multitask": ["recipes/**/*.toml", "sample_data/*.csv"]},
    install_requires=["torch>=2.10", "numpy", "scipy", "tqdm", "safetensors", "huggingface_hub"],
    extras_require={"dev": ["pytest", "transformers"], "features": ["textblob"], "figures": ["matplotlib", "scikit-learn"],
                    "notebooks": ["matplotlib", "scikit-learn", "ipykernel"]},
    license="MIT",
)
