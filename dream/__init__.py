"""Dream: arrays and a recipe in, arrays and facts out. The only home of TensorFlow."""
