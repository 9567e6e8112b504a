#include "crash/calls.cpp"
