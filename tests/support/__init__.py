"""What tests share; fakes of the product's own seams ship with the product instead."""
