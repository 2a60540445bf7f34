"""Quality control: may this study be processed? One file a check."""
