"""What the product `dti` says about itself."""

from appliance.products.manifest import Manifest, Protocol, Step

MANIFEST = Manifest(
    id="dti",
    version="1.0.0",
    title="Diffusion tensor",
    intended_use="Maps and summary numbers of the diffusion tensor of the brain. For research, not for clinical use.",
    protocol=Protocol(version="1", series="diffusion", minimum_b0=1, minimum_directions=6),
    steps=[
        Step(name="convert", title="Converting the images", share=0.25),
        Step(name="choose", title="Choosing the diffusion series", share=0.02),
        Step(name="mask", title="Finding the brain", share=0.08),
        Step(name="fit", title="Fitting the tensor", share=0.50),
        Step(name="summarise", title="Writing maps and numbers", share=0.08),
        Step(name="draw", title="Drawing the pictures", share=0.07),
    ],
    outputs=[
        "Maps (NIfTI): FA, MD, AD, RD in mm2/s, first eigenvector, brain mask, for each diffusion series",
        "Numbers: mean, median and standard deviation of FA, MD, AD and RD in brain and white matter",
        "Pictures: b=0 with the mask's outline, FA, MD, colour-coded FA",
    ],
    trend=("fa_mean_white_matter", "md_mean_white_matter", "fa_mean_brain", "md_mean_brain", "volume_brain"),
    runs_on=("local", "hub"),
    memory_mb=4096,
    cores=2,
    timeout_s=3600,
    quiet_s=1800,
)
