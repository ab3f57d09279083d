// Exists so that the precompiled catch.hpp belongs to one target, which every test executable
// reuses.
