/* A preloaded library that does nothing: what the loader alone costs. */
int empty_preload_is_there;
