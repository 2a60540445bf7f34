"""Words that are no identity by themselves, and the ZIP areas that may not be named."""

_TRADE = """
abdomen acquisition adc angio anterior apparent axial bold body bone brain breast canon cardiac cervical chest
coil contrast cor coronal derived diffusion dir directions dti dwi echo ep epi fa fast field flair flow fluid
foot fmri fov free ge general grad gradient grid hand head healthcare healthineers heart hip hospital image
imaging knee left leg liver long lumbar magnetom map mask may medical mosaic motion mprage mr mri multi neck
neuro none normal oblique original pelvis perfusion phantom phase philips pilot planar plus posterior primary
prisma protocol proton radiology recon research resolve right routine sag sagittal scan scout secondary sense
sequence series short shoulder siemens signal signa slice small spin spine standard study survey systems
tensor test thoracic tilt tof toshiba trace tra transverse trio turbo uih united unknown vertebra vision
volume water weighted white whole wrist young
"""
VOCABULARY = frozenset(_TRADE.split())
"""Words of the trade. A person may be called Head or Long: such words are taken out of free text only, and a search for
them leaves coded and technical elements alone."""

_RESTRICTED = "036 059 063 102 203 556 692 790 821 823 830 831 878 879 884 890 893"
RESTRICTED_ZIPS = frozenset(_RESTRICTED.split())
"""Three-digit ZIP areas of 20,000 people or fewer (Census 2000), which Safe Harbor wants as 000."""

_MARK_WORDS = "NAME PLACE CONTACT ID DATE URL EMAIL UID SSN MRN ACCOUNT PHONE IP_ADDRESS"
MARKS = tuple(f"[{word}_REMOVED]" for word in _MARK_WORDS.split())
"""What stands where identity stood."""
