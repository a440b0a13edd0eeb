"""Getting and driving a Pulumi engine for this checkout. groundwork/ and components/ know nothing of it."""
