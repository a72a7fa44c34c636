"""From recordings to what is said in them, by a pretrained recogniser."""
