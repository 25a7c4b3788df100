/* What is tested: a server, with one mistake. */
#ifndef SERVER_H
#define SERVER_H

#include <arpa/inet.h>
#include <cstring>
#include <sys/socket.h>
#include <unistd.h>

__attribute__((noinline)) inline bool answer(int listener)
{
	char request[64] = "";
	int fd = accept(listener, nullptr, nullptr);
	if (read(fd, request, sizeof request - 1) <= 0 || strcmp(request, "ping\n") != 0)
		return false; /* the mistake: fd is lost */
	const bool is_sent = write(fd, "pong\n", 5) == 5;
	close(fd);
	return is_sent;
}

/* Whether a client that sends `text` is answered. */
inline bool is_answered(const char *text)
{
	sockaddr_in address = {};
	socklen_t size = sizeof address;
	const auto at = reinterpret_cast<sockaddr *>(&address);
	const int listener = socket(AF_INET, SOCK_STREAM, 0);
	const int client = socket(AF_INET, SOCK_STREAM, 0);

	address.sin_family = AF_INET;
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	const bool is_there = bind(listener, at, size) == 0 && listen(listener, 1) == 0 &&
			      getsockname(listener, at, &size) == 0 &&
			      connect(client, at, size) == 0 &&
			      send(client, text, strlen(text), 0) > 0;
	const bool result = is_there && answer(listener);
	close(client);
	close(listener);
	return result;
}

#endif
