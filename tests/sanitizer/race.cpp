// Races on purpose: what the suppressions must not silence. `race KIND`; the thread sanitizer must report it.
#include <cstdio>
#include <cstring>
#include <string>
#include <thread>

namespace {

// Two threads do their part without anything that orders them.
template <class First, class Second>
void together(const First& first, const Second& second) {
  std::thread other(first);
  second();
  other.join();
}

int plain() {
  int counter = 0;
  together([&] { ++counter; }, [&] { ++counter; });
  return counter;
}

// Of a length that only the run knows: a real memcpy, which the sanitizer sees as a call.
int copied(std::size_t length) {
  std::string shared(length, 'a');
  const std::string from(length, 'x');
  together([&] { std::memcpy(shared.data(), from.data(), length); }, [&] { std::memcpy(shared.data(), from.data(), length); });
  return shared[0];
}

int deleted() {
  auto* value = new int(1);
  int read = 0;
  together([&] { read = *static_cast<volatile int*>(value); }, [&] { delete value; });
  return read;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string kind = argc > 1 ? argv[1] : "";
  if (kind == "plain") return plain() == 0;
  if (kind == "copied") return copied(static_cast<std::size_t>(argc) * 500) == 0;
  if (kind == "deleted") return deleted() == 0;
  std::fputs("usage: race plain|copied|deleted\n", stderr);
  return 2;
}
