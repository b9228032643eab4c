"""Networks that turn images into features, whose distances tell how good generated images are."""
