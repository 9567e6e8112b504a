// What an idle process costs.
#pragma once

namespace chillbox::os {

// Gives back what was needed once, by a start or a job: the pages of the program and its libraries
// that were touched, and what is free of the heap. What is used again comes back from the page
// cache on its own. It is more than half of what an idle process of ours would hold.
void trim_memory();

} // namespace chillbox::os
