"""Portal: what lets people without an account hand in their images: upload codes, reference numbers, consent."""
