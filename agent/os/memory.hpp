// What an idle process costs.
#pragma once

namespace chillbox::os {

// Gives back what was needed once, by a start or a job: the pages of the program and its libraries
// that were touched, and what is free of the heap. What is used again comes back from the page
// cache on its own. It is more than half of what an idle process of ours would hold.
void trim_memory();
// One heap for all threads, from now on. glibc gives each thread that waits for another one's a
// heap of its own, which then keeps a megabyte, reserves 64 MiB of the address space, and opens a
// file before it shrinks.
void keep_one_heap();

} // namespace chillbox::os
