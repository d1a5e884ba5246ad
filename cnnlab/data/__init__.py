"""Folders of images → audited manifest → leak-safe splits → batches."""
