// What every page needs. Every link and form works without it.
