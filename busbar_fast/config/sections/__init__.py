"""One module per group of sections: from a map of the file to records, with everything that is wrong noted."""
