#include "rollout/roles.hpp"
