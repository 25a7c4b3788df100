# A pool that forgets the connections of clients that have gone, as pool.py does.
#
#     sockleak run --grace=200ms -- ruby examples/pool.rb
require 'socket'

class Pool
  def initialize
    @connections = []
  end

  def take(listener)
    connection = listener.accept
    @connections << connection
    connection
  end

  def serve(listener)
    connection = take(listener)
    connection.readpartial(256) while true # takes what comes
  rescue EOFError
    # and connection? The list has it still.
  end
end

puts 'expect close-wait eof-read 3 accept4 take pool.rb:12'
pool = Pool.new
TCPServer.open('127.0.0.1', 0) do |listener|
  3.times do
    TCPSocket.open('127.0.0.1', listener.addr[1]) do |client|
      client.write('GET /')
      client.close_write
      pool.serve(listener)
    end
  end
end
sleep 1.5
