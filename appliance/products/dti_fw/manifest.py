"""What the product `dti-fw` says about itself."""

from appliance.products.manifest import Manifest, Protocol, Step

MANIFEST = Manifest(
    id="dti-fw",
    version="1.0.0",
    title="Diffusion tensor and free water, corrected and by region",
    intended_use=(
        "Maps and numbers of the diffusion tensor and of free water in the brain, corrected for noise, ringing, motion and "
        "eddy currents, by region where an atlas is installed. For research, not for clinical use."
    ),
    protocol=Protocol(version="1", series="diffusion", minimum_b0=1, minimum_directions=6),
    steps=[
        Step(name="convert", title="Converting the images", share=0.05),
        Step(name="choose", title="Choosing the diffusion series", share=0.01),
        Step(name="denoise", title="Removing noise", share=0.14),
        Step(name="ringing", title="Removing ringing", share=0.26),
        Step(name="motion", title="Correcting motion and eddy currents", share=0.32),
        Step(name="mask", title="Finding the brain", share=0.02),
        Step(name="tensor", title="Fitting the tensor", share=0.02),
        Step(name="free_water", title="Separating free water", share=0.03),
        Step(name="register", title="Registering to the template", share=0.10),
        Step(name="regions", title="Measuring the regions", share=0.03),
        Step(name="draw", title="Drawing the pictures", share=0.02),
    ],
    outputs=[
        "Maps (NIfTI): FA, MD, AD, RD in mm2/s, first eigenvector, brain mask; with two shells free water, and FA and MD of "
        "the tissue without it; region labels where an atlas is installed",
        "Numbers: tensor and free water in brain, white matter and regions; motion; noise",
        "Feature vector: features.csv, with features_columns.csv that says what each column is",
        "Pictures: b=0 with the mask's outline, FA, MD, colour-coded FA, free water, motion",
    ],
    trend=(
        *("fa_mean_white_matter", "md_mean_white_matter", "fa_mean_brain", "md_mean_brain", "volume_brain"),
        *("fw_fraction_mean_white_matter", "tissue_fa_mean_white_matter", "tissue_md_mean_white_matter"),
        "fw_index_fixed_md_mean_white_matter",
    ),
    runs_on=("local", "hub"),
    memory_mb=4096,
    cores=2,
    timeout_s=7200,
    quiet_s=1800,
)
